%% Stanzas of our users that were refused, while the agent asks whether they may go after all.
%%
%% All that one user sends of one kind to one domain is one case: the agent hears of it once and answers once.
-module(clearinghouse_held).
-behaviour(gen_server).

-export([start_link/0, refused/4, returned/1, release/1, refuse/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("xmpp.hrl").
-include("clearinghouse.hrl").

-define(MAX_HELD, 1000).          % stanzas in all: a few MB
-define(MAX_HELD_PER_PAIR, 32).   % so that one domain leaves room for others
-define(HOLD_MS, 30000).          % people take a longer silence for a loss

-record(held, {key, pair, expiry, stanzas = [] :: [{Sent :: stanza(), Back :: stanza()}]}).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% This stanza of ours, to a remote domain, is refused: held if that is of use, else its sender is told.
refused(Pkt, By, Text, Decision) ->
    Back = clearinghouse_stanza:refusal(Pkt, Text, Decision),
    case worth(Pkt) of
        {true, Name} -> gen_server:cast(?MODULE, {hold, Pkt, Back, By, Text, Name});
        false -> clearinghouse_stanza:answer(Pkt, Back)
    end,
    ok.

%% A stanza of ours came back from a peer that has a module like this one; true if we keep it.
returned(Back) ->
    case clearinghouse_stanza:again(Back) of
        none ->
            false;
        Pkt ->
            case worth(Pkt) of
                {true, Name} ->
                    gen_server:cast(?MODULE, {hold, Pkt, Back, peer, text(Back), Name}),
                    true;
                false ->
                    false
            end
    end.

text(Back) ->
    case xmpp:get_error(Back) of
        #stanza_error{text = Text} -> xmpp:get_text(Text);
        _ -> <<>>
    end.

%% Not worth it: what nobody waits for, what was held before, what the agent itself sends, and anything while
%% nobody is there to ask.
worth(Pkt) ->
    {Local, _} = clearinghouse_stanza:pair(Pkt),
    clearinghouse_stanza:may_wait(Pkt)
        andalso not maps:is_key(clearinghouse, xmpp:get_meta(Pkt))
        andalso not clearinghouse_image:is_agent(Local)
        andalso ejabberd_router:is_my_route(agent())
        andalso clearinghouse_image:asks(Local).

agent() -> ets:lookup_element(?SETTINGS, agent, 2).

release(Id) -> gen_server:cast(?MODULE, {release, Id}).

refuse(Id, Reason) -> gen_server:cast(?MODULE, {refuse, Id, Reason}).

%% ---------------------------------------------------------------- the process

%% Id -> #held{}; of each released stanza its name, until a peer can no longer send it back.
init([]) -> {ok, #{cases => #{}, released => #{}}}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast({hold, Pkt, Back, By, Text, Name}, #{cases := Cases, released := Released} = State) ->
    Pair = clearinghouse_stanza:pair(Pkt),
    case maps:is_key(trace(Pkt), Released) orelse is_full(Pair, Cases) of
        true -> ejabberd_router:route(Back), {noreply, State};
        false -> {noreply, State#{cases := held(Pkt, Back, By, Text, Name, Pair, Cases)}}
    end;
handle_cast({release, Id}, State) ->
    {Case, Next} = taken(Id, State),
    {noreply, released(Case, Next)};
handle_cast({refuse, Id, Reason}, State) ->
    {#held{stanzas = Stanzas}, Next} = taken(Id, State),
    [ejabberd_router:route(clearinghouse_stanza:refusal(Pkt, Reason, <<>>)) || {Pkt, _} <- lists:reverse(Stanzas)],
    {noreply, Next}.

handle_info({expire, Id}, State) ->
    {#held{stanzas = Stanzas}, Next} = taken(Id, State),
    [ejabberd_router:route(Back) || {_, Back} <- lists:reverse(Stanzas)],
    {noreply, Next};
handle_info({forget, Trace}, #{released := Released} = State) ->
    {noreply, State#{released := maps:remove(Trace, Released)}};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #{cases := Cases}) ->
    [ejabberd_router:route(Back) || #held{stanzas = Stanzas} <- maps:values(Cases), {_, Back} <- Stanzas].

held(Pkt, Back, By, Text, Name, Pair, Cases) ->
    Key = {Pair, clearinghouse_stanza:bare(xmpp:get_from(Pkt)), clearinghouse_stanza:kind(Pkt)},
    case [{Id, Case} || {Id, #held{key = K} = Case} <- maps:to_list(Cases), K =:= Key] of
        [{Id, #held{stanzas = Stanzas} = Case}] ->
            Cases#{Id => Case#held{stanzas = [{Pkt, Back} | Stanzas]}};
        [] ->
            Id = binary:encode_hex(crypto:strong_rand_bytes(8)),
            tell(Id, Key, Pkt, By, Text, Name),
            Cases#{Id => #held{key = Key, pair = Pair, expiry = erlang:send_after(?HOLD_MS, self(), {expire, Id}), stanzas = [{Pkt, Back}]}}
    end.

tell(Id, {{Local, Remote}, User, Kind}, Pkt, By, Text, Name) ->
    ejabberd_router:route(clearinghouse_stanza:event(Local, agent(),
        #{event => refused, held => Id, image => Name, local => Local, remote => Remote, user => User,
          to => clearinghouse_stanza:bare(xmpp:get_to(Pkt)), kind => Kind, by => By, text => Text})).

is_full(Pair, Cases) ->
    Counts = [{P, length(Stanzas)} || #held{pair = P, stanzas = Stanzas} <- maps:values(Cases)],
    lists:sum([N || {_, N} <- Counts]) >= ?MAX_HELD orelse lists:sum([N || {P, N} <- Counts, P =:= Pair]) >= ?MAX_HELD_PER_PAIR.

taken(Id, #{cases := Cases} = State) ->
    case maps:take(Id, Cases) of
        {#held{expiry = Expiry} = Case, Left} -> erlang:cancel_timer(Expiry), {Case, State#{cases := Left}};
        error -> {#held{}, State}
    end.

%% Send again what waited; a peer that refused our stream is asked at once.
released(#held{pair = undefined}, State) -> State;
released(#held{stanzas = Stanzas}, State) ->
    Sent = [Pkt || {Pkt, _} <- lists:reverse(Stanzas)],
    [clearinghouse_streams:retry(Pair) || Pair <- lists:usort([raw_pair(Pkt) || Pkt <- Sent])],
    [ejabberd_router:route(xmpp:put_meta(Pkt, clearinghouse, released)) || Pkt <- Sent],
    [erlang:send_after(?HOLD_MS, self(), {forget, trace(Pkt)}) || Pkt <- Sent],
    State#{released := maps:merge(maps:get(released, State), maps:from_list([{trace(Pkt), true} || Pkt <- Sent]))}.

%% As ejabberd knows the pair, which may spell it otherwise than we do.
raw_pair(Pkt) -> {(xmpp:get_from(Pkt))#jid.lserver, (xmpp:get_to(Pkt))#jid.lserver}.

trace(Pkt) -> {jid:tolower(xmpp:get_from(Pkt)), jid:tolower(xmpp:get_to(Pkt)), xmpp:get_id(Pkt)}.
