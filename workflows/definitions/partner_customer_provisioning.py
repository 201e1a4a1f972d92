"""From a partner's order to a customer of theirs with licences and a page under the partner's brand.

The quota is a gate: without licences the run ends as rejected, and nothing is written. It reserves nothing, so of two
runs that pass it for the last licence the one that comes second to the pool is rejected there, and undone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from workflows.answers import (
    AllocatedLicenses,
    CommissionType,
    LicenseQuota,
    PartnerCustomer,
    PartnerRecord,
    ProvisionedTenant,
    RecordedCommission,
)
from workflows.definitions.input_types import Frozen, Line, PositiveId, matching
from workflows.definitions.kit import rejected, step
from workflows.definitions.mailing import Letter, mail_steps
from workflows.definitions.pages import page_answers, page_step
from workflows.engine.definition import Definition
from workflows.engine.run import Run
from workflows.engine.steps import NothingToUndo
from workflows.printable import PRINTABLE
from workflows.refusals import BusinessRefusal
from workflows.services import Services

UNDONE = "the provisioning was undone"


def _written_out(value: object) -> object:
    """An amount is text or a decimal: a float is not what anybody has agreed on."""
    if not isinstance(value, str | Decimal):
        raise ValueError("is not a decimal amount as text, such as '49.90'")
    return value


Amount = Annotated[Decimal, BeforeValidator(_written_out), Field(gt=0, max_digits=18, allow_inf_nan=False)]
OrderRef = Annotated[Line, matching(PRINTABLE + "{1,100}", "one line of at most 100 characters")]
CurrencyCode = Annotated[str, matching(r"[A-Z]{3}", "a currency of ISO 4217, such as EUR")]


class BroughtCustomer(Frozen):
    """Whom the partner brings."""

    name: Line
    email: Line
    phone: Line | None = None
    language: Line | None = None

    @model_serializer(mode="wrap")
    def _as_it_was_said(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a language nobody named: an order of before there was one must still be the same order."""
        said: dict[str, Any] = dump(self)
        if said["language"] is None:
            del said["language"]
        return said


class BrandColours(Frozen):
    """As ``#rrggbb``; without ``on_primary``, whatever reads best."""

    primary: Line
    on_primary: Line | None = None


class BrandConfig(Frozen):
    """Under which brand the page stands, as ``provision_partner_tenant`` reads it."""

    name: Line
    colours: BrandColours | None = None
    logo_url: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    domain: Annotated[str, Field(min_length=1, max_length=253)] | None = None


class PartnerOrder(Frozen):
    """A partner's order of a new customer; ``order_ref`` is the partner's own number of it. ``round`` counts on when it
    has come to nothing and is handed in anew.

    ``commission_amount``, in the partner's currency, is what ``record_commission`` is given: what the customer pays, or
    the fixed sum that was agreed.
    """

    partner_id: PositiveId
    order_ref: OrderRef
    round: PositiveId = 1
    customer_data: BroughtCustomer
    license_count: PositiveId
    white_label_config: BrandConfig
    commission_type: CommissionType
    commission_amount: Amount
    currency: CurrencyCode


Provisioning = Run[PartnerOrder]


@step.transactional(undo=NothingToUndo("a question changes nothing"), leads={BusinessRefusal: rejected})
async def check_license_quota(services: Services, run: Provisioning) -> LicenseQuota:
    """Whether the partner may still sell that much, and on the terms that the order names."""
    order = run.input
    partner = await _on_these_terms(services, order)
    quota = await services.partner_service.check_license_quota(
        partner_id=order.partner_id, requested_licenses=order.license_count
    )
    if partner["state"] != "active":
        raise BusinessRefusal(f"partner {order.partner_id} ({partner['name']}) is {partner['state']}")
    if not quota["available"]:
        raise BusinessRefusal(
            f"partner {order.partner_id} ({partner['name']}) has {quota['quota_remaining']} licence(s) left, and "
            f"{order.license_count} are wanted"
        )
    return quota


async def _on_these_terms(services: Services, order: PartnerOrder) -> PartnerRecord:
    """The partner, if commissions are still agreed as the order was taken on.

    Raises: BusinessRefusal; PartnerUnknown.
    """
    partner = await services.partner_service.partner(order.partner_id)
    agreed, ordered = (
        f"a {terms[0]} commission in {terms[1]}"
        for terms in (
            (partner["commission_type"], partner["currency"]),
            (order.commission_type, order.currency),
        )
    )
    if agreed != ordered:
        raise BusinessRefusal(f"with partner {order.partner_id} {agreed} is agreed, and the order names {ordered}")
    return partner


async def withdraw_customer(services: Services, run: Provisioning, made: PartnerCustomer) -> None:
    await services.customer_service.withdraw_partner_customer(customer_id=made["customer_id"], reason=UNDONE)


@step.transactional(undo=withdraw_customer, leads={BusinessRefusal: rejected})
async def create_partner_customer(services: Services, run: Provisioning) -> PartnerCustomer:
    return await services.customer_service.create_partner_customer(
        partner_id=run.input.partner_id,
        customer_data=run.input.customer_data.model_dump(),
        request_id=run.key(create_partner_customer),
    )


async def return_allocation(services: Services, run: Provisioning, allocated: AllocatedLicenses) -> None:
    await services.license_service.return_allocation(allocation_id=allocated["allocation_id"], reason=UNDONE)


@step.transactional(undo=return_allocation, leads={BusinessRefusal: rejected})
async def allocate_from_partner(services: Services, run: Provisioning) -> AllocatedLicenses:
    return await services.license_service.allocate_from_partner(
        partner_id=run.input.partner_id,
        customer_id=run[create_partner_customer]["customer_id"],
        license_count=run.input.license_count,
        request_id=run.key(allocate_from_partner),
    )


@page_step(undone_because=UNDONE)
async def provision_partner_tenant(services: Services, run: Provisioning) -> ProvisionedTenant:
    return await services.deployment_service.provision_partner_tenant(
        customer_id=run[create_partner_customer]["customer_id"],
        partner_id=run.input.partner_id,
        white_label_config=run.input.white_label_config.model_dump(exclude_none=True),
        request_id=run.key(provision_partner_tenant),
    )


tenant_answers = page_answers(provision_partner_tenant)


async def reverse_commission(services: Services, run: Provisioning, earned: RecordedCommission) -> None:
    await services.partner_service.reverse_commission(commission_id=earned["commission_id"], reason=UNDONE)


@step.transactional(undo=reverse_commission, leads={BusinessRefusal: rejected})
async def record_commission(services: Services, run: Provisioning) -> RecordedCommission:
    await _on_these_terms(services, run.input)
    return await services.partner_service.record_commission(
        partner_id=run.input.partner_id,
        customer_id=run[create_partner_customer]["customer_id"],
        commission_type=run.input.commission_type,
        amount=run.input.commission_amount,
        request_id=run.key(record_commission),
    )


async def partner_customer_provisioned(services: Services, run: Provisioning) -> Letter:
    customer = await services.customer_service.customer(run[create_partner_customer]["customer_id"])
    partner = await services.partner_service.partner(run.input.partner_id)
    config = run.input.white_label_config
    colours = {"colour": config.colours.primary, "ink": config.colours.on_primary} if config.colours else {}
    brand = {"name": config.name} | {name: colour for name, colour in colours.items() if colour is not None}
    return Letter(
        template="partner_customer_provisioned",
        recipient=customer["email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "partner_name": partner["name"],
            "license_count": run[allocate_from_partner]["license_count"],
            "tenant_url": run[provision_partner_tenant]["tenant_url"],
            "brand": brand,
        },
    )


send_template_email, deliver_email = mail_steps(partner_customer_provisioned, undone_because=UNDONE)


def _customer(run: Run[Any]) -> int | None:
    made = run.last(create_partner_customer)
    return made["customer_id"] if made is not None else None


def provisioning_key(partner_id: int, order_ref: str, round_: int) -> str:
    """The key of a partner's order. The round stands before the reference, which may end in anything."""
    return f"partner/{partner_id}" + (f"/round/{round_}" if round_ > 1 else "") + f"/order/{order_ref}"


PARTNER_CUSTOMER_PROVISIONING = Definition(
    name="partner_customer_provisioning",
    version=1,
    input=PartnerOrder,
    steps=(
        check_license_quota,
        create_partner_customer,
        allocate_from_partner,
        provision_partner_tenant,
        tenant_answers,
        record_commission,
        send_template_email,
        deliver_email,
    ),
    key=lambda order: provisioning_key(order.partner_id, order.order_ref, order.round),
    customer_id=lambda _order: None,
    customer_of=_customer,
    started_by="partner.customer.created",
    back_with={deliver_email: send_template_email},
)
