"""The examples do what their README says."""
