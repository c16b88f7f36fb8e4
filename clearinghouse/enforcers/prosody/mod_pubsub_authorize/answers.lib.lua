-- What is said to others.  Text goes in as text: what a node's name or a JID looks like is no matter.

local new_id = require "util.id".medium;
local st = require "util.stanza";

local NS_EVENT = "http://jabber.org/protocol/pubsub#event";
local NS_ERRORS = "http://jabber.org/protocol/pubsub#errors";

local answers = {};

function answers.send(to, child)
	module:send(st.message({ from = module.host; to = to; id = new_id() }):add_child(child));
end

-- Tell a subscriber what its subscription has become (XEP-0060, section 8.6).
function answers.tell(node, jid, state)
	local event = st.stanza("event", { xmlns = NS_EVENT });
	answers.send(jid, event:tag("subscription", { node = node; jid = jid; subscription = state }):reset());
end

function answers.refuse(stanza, kind, condition, text, detail)
	local reply = st.error_reply(stanza, kind, condition, text);
	if detail then reply:tag(detail, { xmlns = NS_ERRORS }):up(); end
	return reply;
end

function answers.unsaved(stanza)
	return answers.refuse(stanza, "wait", "internal-server-error", "This could not be written");
end

return answers;
