-- On disk: each image is a file of the pushes that made it, so that it is there when the server starts without its agent.
--
-- A file that cannot be written is removed: then nothing passes after a restart, instead of what was withdrawn meanwhile.

local json = require "util.json";
local array = require "util.array";
local lfs = require "lfs";

local MAX_ADDED = 4000000; -- bytes of changes behind an image before it is written anew
local ROWS = 2000; -- domains in a line

local kept = { ok = {} }; -- image name -> whether what is in force is on disk
local folder = prosody.paths.data.."/clearinghouse";
kept.folder = folder;
local is_loading = false;
local new, open, added = {}, {}, {}; -- by image name: file being made, file in use, bytes added to it

function kept.make_folder() lfs.mkdir(folder); end

-- The names before the dot of all files that end in it and *kind*.
function kept.names(kind)
	local names = {};
	if lfs.attributes(folder, "mode") ~= "directory" then return names; end
	for file in lfs.dir(folder) do
		names[#names+1] = file:match("^(.*)%."..kind.."$");
	end
	return names;
end

local function path_of(name) return folder.."/"..name..".image"; end

local function fail(name, problem)
	module:log("error", "The image %s is not kept, so that nothing passes after a restart: %s", name, problem);
	for _, files in ipairs { new, open } do
		if files[name] then files[name]:close(); files[name] = nil; end
	end
	os.remove(path_of(name)..".new");
	os.remove(path_of(name));
	kept.ok[name] = false;
end

local function write(files, name, line)
	local ok, problem = files[name]:write(line, "\n");
	if ok then ok, problem = files[name]:flush(); end
	if not ok then fail(name, problem); end
	return ok;
end

function kept.begin(name, line)
	if is_loading then return; end
	if new[name] then new[name]:close(); end
	kept.make_folder();
	local problem;
	new[name], problem = io.open(path_of(name)..".new", "w");
	if not new[name] then fail(name, problem); return; end
	write(new, name, line);
end

function kept.piece(name, line)
	if new[name] then write(new, name, line); end
end

function kept.commit(name, line)
	if not new[name] or not write(new, name, line) then return; end
	local ok, problem = os.rename(path_of(name)..".new", path_of(name));
	if not ok then fail(name, problem); return; end
	if open[name] then open[name]:close(); end
	open[name], new[name], added[name], kept.ok[name] = new[name], nil, 0, true;
end

local function lines_of(image)
	local this, lines = { image = image.name; serial = image.serial }, {};
	local function line(push)
		for key, value in pairs(this) do push[key] = value; end
		lines[#lines+1] = json.encode(push);
	end
	line {
		["do"] = "begin"; mode = image.mode; default = image.default; default_reason = image.default_reason; expires = image.expires;
		hosts = array(image.hosts); classes = image.classes; ask = image.ask; decision = image.decision;
	};
	local parts = {};
	for domain, class in pairs(image.rows) do
		local part = parts[class.name] or array();
		part:push(domain);
		parts[class.name] = part;
		if #part == ROWS then line { ["do"] = "rows"; class = class.name; domains = part }; parts[class.name] = nil; end
	end
	for name, part in pairs(parts) do line { ["do"] = "rows"; class = name; domains = part }; end
	for _, grant in pairs(image.grants) do line { ["do"] = "grants"; grants = array { grant } }; end
	line { ["do"] = "commit" };
	return lines;
end

local function write_anew(image)
	local lines = lines_of(image);
	kept.begin(image.name, lines[1]);
	for index = 2, #lines - 1 do kept.piece(image.name, lines[index]); end
	kept.commit(image.name, lines[#lines]);
end

-- Adds a change to the image that it has just changed.
function kept.add(image, line)
	if is_loading or not open[image.name] or not write(open, image.name, line) then return; end
	added[image.name] = added[image.name] + #line;
	if added[image.name] > MAX_ADDED then write_anew(image); end
end

-- Notes what has ended by the clock, so that it stays so when the clock is set back and the server starts again.
function kept.over(image, now)
	kept.add(image, json.encode { ["do"] = "ended"; image = image.name; at = now });
end

-- Does what the lines of a file say; returns the bytes of changes in it, or nil where it does not end with a whole line.
local function replay(path)
	local size = 0;
	for line in io.lines(path) do
		if not pushes.replay(line) then return nil; end
		size = line:find('"do":"commit"', 1, true) and 0 or size + #line;
	end
	return size;
end

local function go_on_with(image, size)
	local file, problem = io.open(path_of(image.name), "a");
	if not file then fail(image.name, problem); return; end
	open[image.name], added[image.name], kept.ok[image.name] = file, size, true;
end

-- Brings back what was in force; a line that was cut off by the end of the server, and what follows it, is left out.
function kept.load()
	local sizes = {};
	for _, name in ipairs(kept.names("image")) do
		is_loading = true;
		local ok, size = pcall(replay, path_of(name));
		is_loading = false;
		if ok then sizes[name] = size; end
	end
	for name, image in pairs(rules.images) do
		if sizes[name] then go_on_with(image, sizes[name]); else write_anew(image); end
		module:log("info", "The image %s is in force again, serial %d", name, image.serial);
	end
	streams.watch_clock();
end

return kept;
