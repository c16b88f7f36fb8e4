-- mod_pubsub_authorize: lets the owner of a node rule on each subscription (XEP-0060, sections 4.5 and 8.6).
--
-- For mod_pubsub of Prosody 0.12, which knows "open" and "whitelist" only.  It decides nothing: it keeps what waits,
-- asks the owners, does what they answer, and says so to the subscriber.
--
--   Component "pubsub.hub.example" "pubsub"
--       admins = { "clearinghouse.hub.example" }   -- may create nodes, and owns every node: name nobody else
--       modules_enabled = { "pubsub_authorize" }
--       pubsub_max_items = 1000                    -- of mod_pubsub: the most that a node may keep
--
--   pubsub_authorizers = {}          -- bare JIDs that are asked and believed besides the owners of a node
--   pubsub_pending_per_node = 10000  -- requests: some 5 MB of memory
--   pubsub_pending_per_jid = 100     -- requests of one bare JID at all nodes; they are one file, written anew each time
--   pubsub_pending_per_domain = 1000 -- requests of all JIDs of one domain: it can make as many JIDs as it likes
--   pubsub_max_payload = 65536       -- bytes of one item; 0: as long as a stanza may be
--
-- What it changes besides: whoever may not be subscribed any more (outcast; at a whitelist node, no longer a member)
-- is unsubscribed at once and told; an owner's list of changes is checked first and written once; an item must be of
-- the node's `pubsub#type`; an approved subscriber may fetch items without being a member.

local dataforms = require "util.dataforms";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_prep = require "util.jid".prep;
local st = require "util.stanza";

local NS = "http://jabber.org/protocol/pubsub";
local NS_OWNER = NS.."#owner";
local AUTHORIZATION, GET_PENDING = NS.."#subscribe_authorization", NS.."#get-pending";

local authorizers = module:get_option_set("pubsub_authorizers", {}) / jid_prep;
local max_per_node = module:get_option_number("pubsub_pending_per_node", 10000);
local max_per_jid = module:get_option_number("pubsub_pending_per_jid", 100);
local max_per_domain = module:get_option_number("pubsub_pending_per_domain", 1000);

-- Not local: the other files of this module share its environment.
pubsub = module:depends "pubsub";
service = pubsub.service;
waiting = module:require "waiting";
answers = module:require "answers";
rights = module:require "rights";

local owners = module:require "changes"; -- handlers of the owner's namespace; nil leaves the answer to mod_pubsub
local subscribers = {}; -- the same for everybody's

for _, feature in ipairs { "access-authorize", "access-whitelist", "get-pending", "manage-subscriptions", "subscription-notifications" } do
	module:add_feature(NS.."#"..feature);
end

local authorization_form = dataforms.new {
	title = "Subscription request";
	{ name = "FORM_TYPE"; type = "hidden"; value = AUTHORIZATION };
	{ name = "pubsub#node"; type = "text-single"; label = "Node"; required = true };
	{ name = "pubsub#subscriber_jid"; type = "jid-single"; label = "Subscriber"; required = true };
	{ name = "pubsub#allow"; type = "boolean"; label = "Allow this subscription?"; required = true };
};
local pending_form = dataforms.new {
	title = "Pending subscription requests";
	{ name = "FORM_TYPE"; type = "hidden"; value = AUTHORIZATION };
	{ name = "pubsub#node"; type = "list-single"; label = "Node"; required = true };
};

---- Who is asked, who is believed, and what they are told

local function is_believed(node, bare)
	return authorizers:contains(bare) or service:may(node, bare, "subscribe_other");
end

local function ask(to, node, jid)
	local values = { ["pubsub#node"] = node; ["pubsub#subscriber_jid"] = jid; ["pubsub#allow"] = false };
	answers.send(to, authorization_form:form(values));
end

local function ask_all(node, jid)
	local asked = {};
	for owner, affiliation in pairs(service.nodes[node].affiliations) do asked[owner] = affiliation == "owner" or nil; end
	for authorizer in authorizers do asked[authorizer] = true; end
	for to in pairs(asked) do ask(to, node, jid); end
end

---- Requests of subscribers

local function subscription(stanza, node, jid, state)
	return st.reply(stanza):tag("pubsub", { xmlns = NS }):tag("subscription", { node = node; jid = jid; subscription = state });
end

local function is_full(node, bare)
	local _, at_node = waiting.at_node(node);
	local _, of_jid = waiting.of_jid(bare);
	return at_node >= max_per_node or of_jid >= max_per_jid or waiting.of_domain(jid_host(bare)) >= max_per_domain;
end

function subscribers.set_subscribe(stanza, action)
	local node, jid, bare = action.attr.node, jid_prep(action.attr.jid), jid_bare(stanza.attr.from);
	local found = rights.ruled(node);
	if not found then return; end
	if not jid or jid_bare(jid) ~= bare then return answers.refuse(stanza, "modify", "bad-request", nil, "invalid-jid"); end
	if found.affiliations[bare] == "outcast" then return answers.refuse(stanza, "auth", "forbidden"); end
	if found.subscribers[jid] then return subscription(stanza, node, jid, "subscribed"); end
	if waiting.is(node, jid) then return answers.refuse(stanza, "auth", "not-authorized", nil, "pending-subscription"); end
	if is_full(node, bare) then
		return answers.refuse(stanza, "wait", "policy-violation", "Too many requests wait for an answer", "too-many-subscriptions");
	end
	if not waiting.keep(node, jid, os.time()) then return answers.unsaved(stanza); end
	ask_all(node, jid);
	return subscription(stanza, node, jid, "pending");
end

function subscribers.set_unsubscribe(stanza, action)
	local node, jid = action.attr.node, jid_prep(action.attr.jid);
	if not (node and jid and waiting.is(node, jid) and jid_bare(jid) == jid_bare(stanza.attr.from)) then return; end
	return waiting.keep(node, jid, nil) and subscription(stanza, node, jid, "none") or answers.unsaved(stanza);
end

function subscribers.get_subscriptions(stanza, action)
	local node, from = action.attr.node, stanza.attr.from;
	local requests = waiting.of_jid(jid_bare(from));
	local ok, held = service:get_subscriptions(node, from, from);
	if not (ok and next(requests)) then return; end
	local reply = st.reply(stanza):tag("pubsub", { xmlns = NS }):tag("subscriptions", { node = node });
	for _, each in ipairs(held) do reply:tag("subscription", { node = each.node; jid = each.jid; subscription = "subscribed" }):up(); end
	for _, each in pairs(requests) do
		if node == nil or each.node == node then
			reply:tag("subscription", { node = each.node; jid = each.jid; subscription = "pending" }):up();
		end
	end
	return reply;
end

local handlers = { [NS] = subscribers; [NS_OWNER] = owners };

local function handle(event)
	local stanza = event.stanza;
	local request = stanza.tags[1];
	local action = request.tags[1]; -- the first child, as in mod_pubsub: what is ruled on here is what it would do
	local handler = action and handlers[request.attr.xmlns][stanza.attr.type.."_"..action.name];
	local answer = handler and handler(stanza, action);
	if not answer then return; end
	event.origin.send(answer);
	return true;
end
module:hook("iq/host/"..NS..":pubsub", handle, 10);
module:hook("iq/host/"..NS_OWNER..":pubsub", handle, 10);

---- Answers of owners

local function decide(stanza, data, problems)
	local node, jid, allow = data["pubsub#node"], data["pubsub#subscriber_jid"], data["pubsub#allow"];
	if problems or not (node and jid) or allow == nil then return answers.refuse(stanza, "modify", "bad-request", "The form is not complete"); end
	if not service.nodes[node] then return answers.refuse(stanza, "cancel", "item-not-found"); end
	if not is_believed(node, jid_bare(stanza.attr.from)) then return answers.refuse(stanza, "auth", "forbidden", "Owner privileges required"); end
	if not waiting.is(node, jid) then return answers.refuse(stanza, "wait", "unexpected-request", "No pending subscriptions found"); end
	-- First what is granted, then that nobody waits: dying in between loses nothing.
	if allow and not service:add_subscription(node, true, jid) or not waiting.forget(node, jid) then return answers.unsaved(stanza); end
	answers.tell(node, jid, allow and "subscribed" or "none");
end

module:hook("message/host", function (event)
	local stanza = event.stanza;
	local x = stanza.attr.type ~= "error" and stanza:get_child("x", "jabber:x:data");
	if not x or dataforms.get_type(x) ~= AUTHORIZATION then return; end
	local problem = x.attr.type == "submit" and decide(stanza, authorization_form:data(x));
	if problem then event.origin.send(problem); end
	return true;
end, 10);

---- The command that asks for all forms again (section 8.7); each step is complete in itself

local function pending_nodes(bare)
	local ours, options = authorizers:contains(bare), {};
	for node in pairs(service.nodes) do
		if is_believed(node, bare) then
			ours = true;
			if next((waiting.at_node(node))) then options[#options+1] = { value = node; label = node }; end
		end
	end
	return ours, options;
end

local function get_pending(_, asked)
	local bare = jid_bare(asked.from);
	local ours, options = pending_nodes(bare);
	if not ours then return { status = "error"; error = { type = "auth"; condition = "forbidden" } }; end
	if not asked.form then
		return { status = "executing"; actions = { "complete"; default = "complete" }; form = { layout = pending_form; values = { ["pubsub#node"] = options } } };
	end
	local node = pending_form:data(asked.form)["pubsub#node"];
	if not node or not is_believed(node, bare) then return { status = "error"; error = { type = "cancel"; condition = "item-not-found" } }; end
	for jid in pairs((waiting.at_node(node))) do ask(asked.from, node, jid); end
	return { status = "completed" };
end

module:depends("adhoc");
module:provides("adhoc", module:require("adhoc").new("Pending subscription requests", GET_PENDING, get_pending, "any"));

---- Beginning and end

module:hook_object_event(service.events, "node-deleted", function (event)
	local gone = {};
	for jid in pairs((waiting.at_node(event.node))) do gone[#gone+1] = jid; end
	for _, jid in ipairs(gone) do waiting.forget(event.node, jid); end
end);

function module.unload() rights.restore(); end

waiting.load(service.nodes);
