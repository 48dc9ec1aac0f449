"""An answer with fields, which the model makes again while it breaks a rule.

Prints:
    net=100 tax=19 total=119
    requests: 2
"""

import asyncio

from pydantic import BaseModel, Field
from pydantic_ai import ModelRetry

from actors import Agent
from actors.testing.models import scripted_model


class Invoice(BaseModel):
    net: int = Field(ge=0)
    tax: int
    total: int


def invoice(invoice: Invoice) -> Invoice:
    """Finish with an invoice."""
    # Types and bounds are checked before. What one field says about another is for a function to check: as a type of
    # output it may refuse, and the model reads why.
    if invoice.net + invoice.tax != invoice.total:
        raise ModelRetry(f"{invoice.net} and {invoice.tax} are not {invoice.total}.")
    return invoice


async def main() -> None:
    model = scripted_model([Invoice(net=100, tax=19, total=120), Invoice(net=100, tax=19, total=119)])
    async with Agent("clerk", model=model, output_type=invoice, output_retries=2) as clerk:
        message = await clerk.run("One lamp for 100, and 19 of tax.")

    print(message.content)
    print(f"requests: {len(model.requests)}")


if __name__ == "__main__":
    asyncio.run(main())
