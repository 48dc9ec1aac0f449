"""The same small actor in each library; imported only in the process that measures it."""
