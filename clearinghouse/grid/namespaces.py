"""XML namespaces of the protocols that the grid speaks, each with its specification."""

from __future__ import annotations

from typing import Final

CLIENT: Final = "jabber:client"  # RFC 6120, section 4.8.3
STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"  # RFC 6120, section 8.3.3
DATA_FORMS: Final = "jabber:x:data"  # XEP-0004
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"  # XEP-0030
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"  # XEP-0030
RSM: Final = "http://jabber.org/protocol/rsm"  # XEP-0059
COMMANDS: Final = "http://jabber.org/protocol/commands"  # XEP-0050
PING: Final = "urn:xmpp:ping"  # XEP-0199
CLEARINGHOUSE: Final = "urn:x-clearinghouse:1"  # docs/reference/xmpp.md
IODEF: Final = "urn:ietf:params:xml:ns:iodef-2.0"  # RFC 7970

PUBSUB: Final = "http://jabber.org/protocol/pubsub"  # XEP-0060, as all below
PUBSUB_ERRORS: Final = f"{PUBSUB}#errors"
PUBSUB_EVENT: Final = f"{PUBSUB}#event"
PUBSUB_OWNER: Final = f"{PUBSUB}#owner"
GET_PENDING: Final = f"{PUBSUB}#get-pending"
NODE_CONFIG: Final = f"{PUBSUB}#node_config"
SUBSCRIBE_AUTHORIZATION: Final = f"{PUBSUB}#subscribe_authorization"
