%% Images on the disk: for each one the pushes that made it, in order, so that it is read as it was received.
%%
%% A push that was written is kept whatever happens to this process.  A file that ends in the middle of one, or that
%% somebody changed, counts up to there, and an image without its `commit` not at all.  A log that cannot be written
%% is removed: then nothing passes after a restart, instead of what was withdrawn meanwhile.
-module(clearinghouse_log).

-export([create/1, write/3, publish/2, settle/1, close/1, names/0, read/1]).
-export([names/1, keep/3, kept/2]).

-include("logger.hrl").

-define(FRAME(Size, Check), Size:32, Check:32).

directory() -> filename:join(mnesia:system_info(directory), "clearinghouse").

path(Name, Extension) -> filename:join(directory(), <<(uri_string:quote(Name))/binary, Extension/binary>>).

%% A new log, which counts once it is published; none if that cannot be.
create(Name) ->
    Path = path(Name, <<".next">>),
    filelib:ensure_dir(Path),
    case file:open(Path, [write, raw, binary]) of
        {ok, File} -> File;
        {error, Why} -> failed(Name, Why)
    end.

%% Returns the log, or none.
write(none, _, _) -> none;
write(File, Name, Push) ->
    Text = term_to_binary(Push),
    case file:write(File, [<<?FRAME((byte_size(Text)), (erlang:crc32(Text)))>>, Text]) of
        ok -> File;
        {error, Why} -> close(File), failed(Name, Why)
    end.

publish(none, _) -> none;
publish(File, Name) ->
    case {file:datasync(File), file:rename(path(Name, <<".next">>), path(Name, <<".log">>))} of
        {ok, ok} -> File;
        {Synced, Renamed} -> close(File), failed(Name, {Synced, Renamed})
    end.

failed(Name, Why) ->
    ?ERROR_MSG("The image ~ts is not kept, so that nothing passes after a restart: ~p", [Name, Why]),
    [removed(path(Name, Extension)) || Extension <- [<<".next">>, <<".log">>]],
    none.

%% A directory may let nothing be removed; then the file is emptied, which is as good.
removed(Path) ->
    case file:delete(Path) of
        {error, Why} when Why =/= enoent -> file:write_file(Path, <<>>);
        Done -> Done
    end.

%% Survives the loss of power too.
settle(File) -> file:datasync(File).

close(none) -> ok;
close(File) -> file:close(File).

names() -> names(<<".log">>).

names(Extension) ->
    [uri_string:unquote(filename:basename(unicode:characters_to_binary(Path), Extension))
     || Path <- filelib:wildcard(filename:join(directory(), "*" ++ binary_to_list(Extension)))].

%% The pushes of an image, and the log, which goes on behind the last one that is whole.
read(Name) ->
    {ok, File} = file:open(path(Name, <<".log">>), [read, write, raw, binary]),
    {ok, Bytes} = file:read_file(path(Name, <<".log">>)),
    {Pushes, Whole} = pushes(Bytes, 0, []),
    {ok, _} = file:position(File, Whole),
    ok = file:truncate(File),
    {Pushes, File}.

pushes(<<?FRAME(Size, Check), Text:Size/binary, Left/binary>>, At, Pushes) ->
    case erlang:crc32(Text) of
        Check -> pushes(Left, At + 8 + Size, [binary_to_term(Text) | Pushes]);
        _ -> {lists:reverse(Pushes), At}
    end;
pushes(_, At, Pushes) ->
    {lists:reverse(Pushes), At}.

%% ---------------------------------------------------------------- whole files

%% A term that takes the place of the one before, or else makes it unreadable.
keep(Name, Extension, Term) ->
    Path = path(Name, Extension),
    Next = path(Name, <<Extension/binary, ".next">>),
    Text = term_to_binary(Term),
    try
        filelib:ensure_dir(Path),
        {ok, File} = file:open(Next, [write, raw, binary]),
        ok = file:write(File, [<<?FRAME((byte_size(Text)), (erlang:crc32(Text)))>>, Text]),
        ok = file:datasync(File),
        ok = file:close(File),
        ok = file:rename(Next, Path)
    catch
        error:{badmatch, {error, Why}} -> file:write_file(Path, <<>>), {error, Why}
    end.

kept(Name, Extension) ->
    try
        {ok, Bytes} = file:read_file(path(Name, Extension)),
        {[Term], _} = pushes(Bytes, 0, []),
        {ok, Term}
    catch
        _:_ -> error
    end.
