//! Who calls, and what may happen to a call on its way: the steps.
//!
//! | of a call it may be that | in the model |
//! |---|---|
//! | it is on its way for long | anything else happens between `Send` and `Execute` |
//! | its answer is late | its holder rests after `Execute` |
//! | its answer is lost, and it is sent again | `ExecuteUnheard`: it is on its way as before |
//! | it is sent again, and both copies arrive | `Repeat`, then `Execute` and, before or after, `Arrive` |
//! | its caller dies, and it arrives all the same | `Crash`, then `Arrive` |
//! | it is lost | it never arrives |
//!
//! A call that settles leaves open what it is until it executes, so that a late copy may even be
//! another verb: more than the library does, and fewer states.
//!
//! Callers that remember nothing need no steps of their own. A push, a look of the poller, a redrive
//! and a cancel are one step, when they execute: a delay is the same step later, a repetition the same
//! step again, and a poller that died is one that takes no step.

use stateright::Model;

use crate::server::{Id, Request, Server, Word};
use crate::state::{Bounds, Call, Holder, State};

/// Changes what a script has done: the request, the queue before, the queue and the answer after.
pub(crate) type Spoil = fn(Request, &Server, &mut Server, &mut Word);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) spoil: Option<Spoil>,
    /// Claims read the head of ready and move it later, each by itself.
    pub(crate) torn_claims: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(usize, Call),
    /// The holder's call executes, and its answer arrives.
    Execute(usize, Request),
    /// The same, but its answer is lost, and the call is sent again.
    ExecuteUnheard(usize, Request),
    /// The call is sent again while its first copy is on its way.
    Repeat(usize),
    Crash(usize),
    /// A call executes whose answer nobody awaits.
    Arrive(usize, Request),
    /// A caller that remembers nothing.
    Once(Request),
    LeaseEnds(Id),
    FallsDue(Id),
}

/// What a step did at the server, if anything.
pub(crate) type Done = Option<(Request, Word)>;

impl Protocol {
    fn execute(&self, state: &mut State, request: Request) -> Word {
        let before = state.server.clone();
        let mut word = state.server.execute(request);
        if let Some(spoil) = self.spoil {
            spoil(request, &before, &mut state.server, &mut word);
        }
        state.note(&before, request, word);
        word
    }

    /// Pays for what the bounds bound: a request that changes nothing is free.
    fn execute_within(&self, state: &mut State, request: Request) -> Option<Done> {
        let known = state.known;
        let word = self.execute(state, request);
        match (request, word) {
            (Request::Push(id), Word::Ready | Word::Scheduled)
                if known[usize::from(id)].lives > 0 =>
            {
                state.fault()?;
            }
            (Request::Release(..), Word::Ready | Word::Scheduled)
            | (_, Word::Redriven(1) | Word::Cancelled) => state.detour()?,
            _ => {}
        }
        Some(Some((request, word)))
    }

    fn send(state: &mut State, at: usize, call: Call) -> Option<Done> {
        if matches!(call, Call::Extend(_)) {
            state.detour()?;
        }
        let holder = &mut state.holders[at];
        let before = holder.call.replace(call);
        if matches!(call, Call::Settle(_)) {
            // Whoever settles has stopped working.
            (holder.receipt, holder.live) = (None, false);
        }
        state.stray(before);
        Some(None)
    }

    fn execute_for(
        &self,
        state: &mut State,
        at: usize,
        request: Request,
        heard: bool,
    ) -> Option<Done> {
        if !heard {
            state.fault()?;
        }
        let call = state.holders[at].call?;
        let done = match (call, state.server.ready.first()) {
            (Call::TornClaim(id), _) => Some((request, Self::tear(state, id))),
            (Call::Claim, Some(id)) if self.torn_claims => {
                state.holders[at].call = Some(Call::TornClaim(*id));
                return Some(None);
            }
            _ => self.execute_within(state, request)?,
        };
        let holder = &mut state.holders[at];
        if heard {
            holder.call = None;
        }
        match done {
            Some((_, Word::Handed(id, line))) if heard => {
                holder.receipt = Some(state.known[usize::from(id)].receipt(id, line));
                holder.live = true;
            }
            Some((_, Word::Extended)) => holder.live = true,
            Some((Request::Extend(_), Word::Lost)) if heard => holder.live = false,
            _ => {}
        }
        Some(done)
    }

    /// The second half of a torn claim.
    fn tear(state: &mut State, id: Id) -> Word {
        let before = state.server.clone();
        let word = state.server.hand_out(id);
        state.note(&before, Request::Claim, word);
        word
    }

    fn repeat(state: &mut State, at: usize) -> Option<Done> {
        state.fault()?;
        state.stray(state.holders[at].call);
        Some(None)
    }

    fn crash(state: &mut State, at: usize) -> Option<Done> {
        state.fault()?;
        let Holder { call, .. } = std::mem::take(&mut state.holders[at]);
        state.stray(call);
        Some(None)
    }

    /// The lease is the server's, and the holder's belief in it ends with it at the latest.
    fn lease_ends(state: &mut State, id: Id) {
        state.server.pending.comes(id);
        let life = state.known[usize::from(id)].lives;
        for holder in &mut state.holders {
            if holder.receipt.is_some_and(|receipt| (receipt.id, receipt.life) == (id, life)) {
                holder.live = false;
            }
        }
    }

    /// Takes the step, unless the bounds forbid it.
    pub(crate) fn step(&self, state: &mut State, action: Action) -> Option<Done> {
        let done = match action {
            Action::Send(at, call) => Self::send(state, at, call),
            Action::Execute(at, request) => self.execute_for(state, at, request, true),
            Action::ExecuteUnheard(at, request) => self.execute_for(state, at, request, false),
            Action::Repeat(at) => Self::repeat(state, at),
            Action::Crash(at) => Self::crash(state, at),
            Action::Arrive(at, request) => {
                state.strays.remove(at);
                self.execute_within(state, request)
            }
            Action::Once(request) => self.execute_within(state, request),
            Action::LeaseEnds(id) => {
                Self::lease_ends(state, id);
                Some(None)
            }
            Action::FallsDue(id) => {
                state.server.scheduled.comes(id);
                Some(None)
            }
        };
        state.holders.sort_unstable();
        done
    }

    /// What a service in which nothing goes wrong any more does next: calls get through, times come, the
    /// poller polls, and holders claim and acknowledge.
    pub(crate) fn plain_step(state: &State) -> Option<Action> {
        let holders = || state.holders.iter().enumerate();
        let calls = holders()
            .find_map(|(at, holder)| Some(Action::Execute(at, *holder.call?.requests().first()?)));
        let settle = || {
            holders().find_map(|(at, holder)| Some(Action::Send(at, Call::Settle(holder.receipt?))))
        };
        let Server { ready, scheduled, pending, .. } = &state.server;
        let due = || scheduled.ahead.first().map(|id| Action::FallsDue(*id));
        let ends = || pending.ahead.first().map(|id| Action::LeaseEnds(*id));
        let come = !scheduled.come.is_empty() || !pending.come.is_empty();
        let poll = || come.then_some(Action::Once(Request::Redeliver));
        let claim = || (!ready.is_empty()).then_some(Action::Send(0, Call::Claim));
        calls.or_else(settle).or_else(due).or_else(ends).or_else(poll).or_else(claim)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, holder) in state.holders.iter().enumerate() {
            if at > 0 && *holder == state.holders[at - 1] {
                continue;
            }
            match (holder.call, holder.receipt) {
                (None, None) => actions.push(Action::Send(at, Call::Claim)),
                (None, Some(receipt)) => actions.extend([
                    Action::Send(at, Call::Settle(receipt)),
                    Action::Send(at, Call::Extend(receipt)),
                    Action::Crash(at),
                ]),
                (Some(call), receipt) => {
                    for request in call.requests() {
                        let heard =
                            [Action::Execute(at, request), Action::ExecuteUnheard(at, request)];
                        actions.extend(heard);
                    }
                    actions.extend([Action::Repeat(at), Action::Crash(at)]);
                    // The extender works beside the handler.
                    actions.extend(receipt.map(|receipt| Action::Send(at, Call::Settle(receipt))));
                }
            }
        }
        for (at, stray) in state.strays.iter().enumerate() {
            if at == 0 || state.strays[at - 1] != *stray {
                let requests = stray.requests().into_iter();
                actions.extend(requests.map(|request| Action::Arrive(at, request)));
            }
        }
        for id in 0..self.bounds.messages {
            let once = [Request::Push(id), Request::Redrive(id), Request::Cancel(id)];
            actions.extend(once.map(Action::Once));
        }
        actions.push(Action::Once(Request::Redeliver));
        actions.extend(state.server.scheduled.ahead.iter().map(|id| Action::FallsDue(*id)));
        actions.extend(state.server.pending.ahead.iter().map(|id| Action::LeaseEnds(*id)));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action)?;
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::properties::all()
    }
}
