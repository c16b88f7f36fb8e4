%% The keys that other domains' servers show, by their signed member records: as the agent pushes them, in parts, and on the disk.
%%
%% All of an image are one term, which takes the place of the one before in one step; every process reads it where it is.
-module(clearinghouse_peers).

-export([restore/0, pushed/2, pins/2, report/0, pin/1]).

-include("logger.hrl").
-include("clearinghouse.hrl").

-define(MAX_PART, 1000).          % domains in a push: 100 kB
-define(MAX_PEERS, 200000).       % domains in all, as many as an image has: 40 MB
-define(MAX_PINS, 8).             % keys of a domain, as in a member record

%% What none of ours is told, or when something is wrong with it: nothing matches no key.
-type pins() :: none | [binary()].

%% The keys by which we know the servers of this domain.  A host that no image governs has what any image has.
-spec pins(binary(), binary()) -> pins().
pins(Local, Remote) ->
    All = persistent_term:get(?MODULE, #{}),
    Known = case clearinghouse_image:governing(Local) of
                #image{name = Name} -> [maps:get(Name, All, {0, #{}, true})];
                undefined -> maps:values(All)
            end,
    joined([Pins || {_, Peers, _} <- Known, Pins <- of_one(Peers, Remote)]).

of_one(unreadable, _) -> [[]];
of_one(Peers, Remote) -> [Pins || {ok, Pins} <- [maps:find(Remote, Peers)]].

joined([]) -> none;
joined(Lists) -> lists:append(Lists).

report() ->
    maps:map(fun(_, {Serial, unreadable, Kept}) -> #{serial => Serial, count => 0, kept => Kept};
                (_, {Serial, Peers, Kept}) -> #{serial => Serial, count => map_size(Peers), kept => Kept}
             end, persistent_term:get(?MODULE, #{})).

%% ---------------------------------------------------------------- pushes

%% One part.  Unfinished is what came before, by image; returns the answer and what is unfinished then.
pushed(#{<<"image">> := Name, <<"serial">> := Serial, <<"part">> := Part, <<"parts">> := Parts, <<"peers">> := Pushed}, Unfinished)
  when is_integer(Serial), is_integer(Part), is_integer(Parts), 1 =< Part, Part =< Parts, map_size(Pushed) =< ?MAX_PART ->
    match = re:run(Name, "^[A-Za-z0-9._-]+$", [{capture, none}]),   % it becomes the name of a file
    Peers = maps:from_list([{domain(Domain), pins(Pins)} || {Domain, Pins} <- maps:to_list(Pushed)]),
    {Had, _, _} = maps:get(Name, persistent_term:get(?MODULE, #{}), {0, none, false}),
    case {Part, Unfinished} of
        {1, _} when Serial > Had -> added(Name, Serial, 1, Parts, Peers, Unfinished);
        {_, #{Name := {Serial, Before, Parts, Some}}} when Part =:= Before + 1 ->
            added(Name, Serial, Part, Parts, maps:merge(Some, Peers), Unfinished);
        _ -> {{conflict, Name, Had}, Unfinished}
    end.

added(_, _, _, _, Peers, _) when map_size(Peers) > ?MAX_PEERS ->
    throw(full);
added(Name, Serial, Parts, Parts, Peers, Unfinished) ->
    Kept = keep(Name, {Serial, Peers}),
    persistent_term:put(?MODULE, (persistent_term:get(?MODULE, #{}))#{Name => {Serial, Peers, Kept}}),
    clearinghouse_follow:judge(),
    ?INFO_MSG("The keys of ~p peers are known for ~ts: serial ~p", [map_size(Peers), Name, Serial]),
    {{applied, Name, Serial}, maps:remove(Name, Unfinished)};
added(Name, Serial, Part, Parts, Peers, Unfinished) ->
    {{applied, Name, Serial}, Unfinished#{Name => {Serial, Part, Parts, Peers}}}.

domain(Domain) when is_binary(Domain) -> clearinghouse_stanza:ascii(Domain).

pins([_ | _] = Pins) when length(Pins) =< ?MAX_PINS -> [pin(Pin) || Pin <- Pins].

%% As it is written: SHA-256 of the SubjectPublicKeyInfo, in hex.
pin(Hex) when byte_size(Hex) =:= 64 -> binary:decode_hex(Hex).

%% ---------------------------------------------------------------- on the disk

%% In force again are those that were kept.  What cannot be read is known to have been there: no key is the right one until
%% the agent has pushed anew.
restore() ->
    persistent_term:put(?MODULE, maps:from_list([{Name, read(Name)} || Name <- clearinghouse_log:names(<<".peers">>)])).

read(Name) ->
    case clearinghouse_log:kept(Name, <<".peers">>) of
        {ok, {Serial, Peers}} -> {Serial, Peers, true};
        error ->
            ?ERROR_MSG("The keys of the peers of ~ts could not be read: no stream that needs one is opened", [Name]),
            {0, unreadable, false}
    end.

keep(Name, Peers) ->
    case clearinghouse_log:keep(Name, <<".peers">>, Peers) of
        ok -> true;
        {error, Why} ->
            ?ERROR_MSG("The keys of the peers of ~ts are not kept, so that none is the right one after a restart: ~p", [Name, Why]),
            false
    end.
