-- Who the server of a domain is: the keys on the records of members, which the agent pushes for each image.
-- Sees what mod_clearinghouse.lua leaves global: follow, kept, pushes, rules.
--
-- They come in parts, and are in force as a whole when the last one has come.

local MAX_DOMAINS = 100000; -- some 300 bytes of memory each

local peers = {};
local sets, building = {}, {}; -- image name -> { serial, count, keys: domain -> key -> true, lines, is_kept }
local spoilt = {}; -- image name -> true, where what was known cannot be read: then no key is the right one
local is_loading = false;

local function path_of(name) return kept.folder.."/"..name..".peers"; end

-- The keys of which the server of *remote* must have one, where any are on record for *host*.
function peers.keys(host, remote)
	local image = rules.image_of(host);
	if image and spoilt[image.name] then return {}; end
	local set = image and sets[image.name];
	return set and set.keys[rules.domain(remote)];
end

function peers.serial(name) return sets[name] and sets[name].serial or 0; end

function peers.status()
	local found = {};
	for name, set in pairs(sets) do found[name] = { serial = set.serial; count = set.count; kept = set.is_kept }; end
	return found;
end

local function written(path, lines)
	local file, problem = io.open(path, "w");
	if not file then return nil, problem; end
	local ok, trouble = file:write(table.concat(lines, "\n"), "\n");
	local closed, more = file:close();
	return ok and closed, trouble or more;
end

-- A file that cannot be written is removed: no key is better than one that was withdrawn.
local function keep(name, set)
	kept.make_folder();
	local path = path_of(name);
	local ok, problem = written(path..".new", set.lines);
	if ok then ok, problem = os.rename(path..".new", path); end
	set.is_kept = ok == true;
	if ok then return; end
	module:log("error", "The keys for %s are not kept, so that none is known after a restart: %s", name, problem);
	os.remove(path..".new");
	os.remove(path);
end

local function begun(part)
	if part.part == 1 and part.serial > peers.serial(part.name) then
		building[part.name] = { serial = part.serial; parts = part.parts; part = 0; count = 0; keys = {}; lines = {} };
	end
	local set = building[part.name];
	if set and set.serial == part.serial and set.parts == part.parts and set.part + 1 == part.part then return set; end
end

-- Takes one part, of which *line* is the text; true, or nil and a condition.
function peers.take(part, line)
	local set = begun(part);
	if not set then return nil, "conflict"; end
	for domain, keys in pairs(part.keys) do
		if not set.keys[domain] then set.count = set.count + 1; end
		set.keys[domain] = keys;
	end
	if set.count > MAX_DOMAINS then building[part.name] = nil; return nil, "resource-constraint"; end
	set.part, set.lines[part.part] = part.part, line;
	if set.part < set.parts then return true; end
	building[part.name], sets[part.name], spoilt[part.name] = nil, set, nil;
	if not is_loading then keep(part.name, set); end
	set.lines = nil;
	follow.sweep();
	module:log("info", "The keys for %s are known: serial %d, %d domains", part.name, set.serial, set.count);
	return true;
end

local function replay(name)
	for line in io.lines(path_of(name)) do
		if not pushes.replay(line) then break; end
	end
end

-- Brings back what was known; where a file does not end as it should, no server has the right key until the agent tells them again.
function peers.load()
	for _, name in ipairs(kept.names("peers")) do
		is_loading = true;
		local ok, problem = pcall(replay, name);
		is_loading = false;
		if ok and sets[name] then
			sets[name].is_kept = true;
		else
			spoilt[name] = true;
			module:log("error", "The keys for %s cannot be read, so that none is right: %s", name, problem or "it is not whole");
		end
	end
	building = {};
end

return peers;
