"""The type of webhooks: all of one address share a server."""

from collections.abc import Sequence

from actors.config.trigger import WebhookTrigger
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from actors.triggers.webhook.decision import Webhook, WebhookRoutes


def _address(spec: WebhookTrigger, _context: BuildContext) -> tuple[str, int]:
    return spec.host, spec.port


def _build(group: Sequence[tuple[Trigger, WebhookTrigger]], context: BuildContext) -> SourceSpec:
    from actors.triggers.webhook.server import WebhookLocation, WebhookServer

    sites = [child.site for child in context.previous if isinstance(child.site, WebhookLocation)]
    before = [webhook for site in sites for webhook in site.routes.webhooks]
    webhooks = [_webhook(trigger, spec, before, context) for trigger, spec in group]
    host, port = _address(group[0][1], context)
    site = WebhookLocation(host, port, WebhookRoutes(webhooks, wall=context.wall))
    return SourceSpec(WebhookServer, (site,), f"webhooks of {host}:{port}", site)


def _webhook(trigger: Trigger, spec: WebhookTrigger, before: Sequence[Webhook], context: BuildContext) -> Webhook:
    old = {webhook.trigger.full_name: webhook for webhook in before}.get(trigger.full_name)
    if old is not None and old.trigger is trigger:
        return old
    new = Webhook(trigger, spec, journal=context.journal, wall=context.wall)
    if old is not None:  # its settings have changed; what it accepted stays accepted
        new.guard, new.since = old.guard, old.since
    return new


WEBHOOK = TriggerType(WebhookTrigger, _build, shared_by=_address, libraries=("starlette", "uvicorn"))
