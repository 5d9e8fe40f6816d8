//! The way of a message to its partition.

use std::sync::Arc;

use crate::batch::cut;
use crate::error::Result;
use crate::message::Prepared;
use crate::name::MessageId;
use crate::news::Known;
use crate::op::push::{Placed, Push, Routed};
use crate::proven::{Proven, ProvenPush};
use crate::pushed::restless;
use crate::routing::{Routing, members};
use crate::script::MAX_ITEMS;
use crate::shared::Shared;
use crate::store::Ran;
use crate::together;

/// A push that meets a change asks again; nobody changes a queue so often.
const MAX_MOVES: u32 = 16;

/// A partition with so many more KiB of pushes under way than another one has fallen behind: less is
/// chance, and much more would be every push there is.
const MAX_LEAD_KIB: usize = 64;

type Item = Arc<Prepared>;

impl Shared {
    /// Gives a message that may go anywhere another id, and so another partition, where its own has
    /// fallen behind: a server that hangs would hold up everybody's pushes, one after the other.
    pub(crate) fn avoid_the_slow(&self, message: &mut Prepared) {
        let routing = self.news.known().routing;
        if message.named || routing.count == 1 {
            return;
        }
        let under_way = |number: &u32| self.partition(*number).pushes_under_way();
        let own = under_way(&home(routing, message));
        if own <= MAX_LEAD_KIB {
            return;
        }
        let least = (0..routing.count).min_by_key(under_way).unwrap_or_default();
        if own > under_way(&least) + MAX_LEAD_KIB {
            while home(routing, message) != least {
                message.id = MessageId::generate();
            }
        }
    }

    pub(crate) async fn push(&self, message: Prepared) -> Result<Ran<Proven>> {
        self.learn().await;
        let message = Arc::new(message);
        for _ in 0..MAX_MOVES {
            let known = self.news.known();
            let routing = known.routing;
            if routing.epoch > 0 && message.named {
                let found = self.elsewhere(known, &[&message]).await?;
                if let Some(found) = found.into_iter().flatten().next() {
                    return Ok(found);
                }
            }
            let routed = Routed { message: Arc::clone(&message), routing };
            let partition = self.partition(home(routing, &message));
            let ran = if message.proof.is_wanted() {
                partition.proven.submit(routed).await?
            } else {
                unasked(partition.push.submit(routed).await?)
            };
            match ran.reply.placed {
                Placed::Moved(routing) => self.news.adopt(routing),
                _ => return Ok(ran),
            }
        }
        Err(restless())
    }

    /// Pushes many; those of one partition in order. After a refusal for a cap, that partition gets
    /// no further call, and what was not sent has no outcome.
    pub(crate) async fn push_many(
        &self,
        messages: Vec<Prepared>,
    ) -> Result<Vec<Option<Ran<Proven>>>> {
        self.learn().await;
        let messages: Vec<Item> = messages.into_iter().map(Arc::new).collect();
        let mut placed: Vec<Option<Ran<Proven>>> = vec![None; messages.len()];
        let mut open: Vec<usize> = (0..messages.len()).collect();
        let mut is_full = false;
        for _ in 0..MAX_MOVES {
            if open.is_empty() || is_full {
                return Ok(placed);
            }
            let known = self.news.known();
            let items: Vec<_> = open.iter().map(|index| &messages[*index]).collect();
            for (index, found) in open.iter().zip(self.elsewhere(known, &items).await?) {
                placed[*index] = found;
            }
            let mut shares = vec![Vec::new(); known.routing.ever() as usize];
            for index in open.drain(..).filter(|index| placed[*index].is_none()) {
                shares[home(known.routing, &messages[index]) as usize].push(index);
            }
            let sent = shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty());
            let sent = sent
                .map(|(number, share)| self.push_share((number, share), known.routing, &messages));
            for (index, ran) in together::all(sent).await?.into_iter().flatten() {
                match ran.reply.placed {
                    Placed::Moved(routing) => {
                        self.news.adopt(routing);
                        open.push(index);
                    }
                    told => {
                        is_full |= matches!(told, Placed::Full { .. });
                        placed[index] = Some(ran);
                    }
                }
            }
            open.sort_unstable();
        }
        Err(restless())
    }

    async fn push_share(
        &self,
        (number, share): (usize, Vec<usize>),
        routing: Routing,
        messages: &[Item],
    ) -> Result<Vec<(usize, Ran<Proven>)>> {
        let partition = self.partition(u32::try_from(number).unwrap_or_default());
        let routed = |index: &usize| Routed { message: Arc::clone(&messages[*index]), routing };
        let items: Vec<_> = share.iter().map(routed).collect();
        let mut indexes = share.into_iter();
        let mut outcomes = Vec::new();
        let proven = items.iter().any(|item| item.message.proof.is_wanted());
        let batches = if proven { cut::<ProvenPush>(items) } else { cut::<Push>(items) };
        for batch in batches {
            let ran: Vec<_> = if proven {
                let Ran { reply, repeated } = partition.proven.run(batch).await?;
                reply.into_iter().map(|reply| Ran { reply, repeated }).collect()
            } else {
                let Ran { reply, repeated } = partition.push.run(batch).await?;
                reply.into_iter().map(|reply| unasked(Ran { reply, repeated })).collect()
            };
            let is_full = ran.iter().any(|ran| matches!(ran.reply.placed, Placed::Full { .. }));
            outcomes.extend(indexes.by_ref().zip(ran));
            if is_full {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Looks for messages that were pushed under the same name before the queue was partitioned as it
    /// is. Where one is not found, none will come: its partition knows of the change from now on.
    async fn elsewhere(&self, known: Known, items: &[&Item]) -> Result<Vec<Option<Ran<Proven>>>> {
        let Known { routing, clean } = known;
        let mut found = vec![None; items.len()];
        if routing.epoch == 0 {
            return Ok(found);
        }
        let mut asked = vec![Vec::new(); routing.ever() as usize];
        for (index, item) in items.iter().enumerate().filter(|(_, item)| item.named) {
            let name = item.name();
            for number in members(routing.earlier_homes(bare(&name)) & !clean) {
                asked[number as usize].push((index, name.clone()));
            }
        }
        let asked = (0..).zip(asked).filter(|(_, asked)| !asked.is_empty());
        let answers = asked.map(async |(number, asked)| {
            let mut answers = Vec::with_capacity(asked.len());
            for asked in asked.chunks(MAX_ITEMS) {
                let names: Vec<_> = asked.iter().map(|(_, name)| name.clone()).collect();
                let told = self.tell(number, routing, &names).await?;
                let indexes = asked.iter().map(|(index, _)| *index);
                answers.extend(indexes.zip(told.found));
            }
            Ok(answers)
        });
        for (index, answer) in together::all(answers).await?.into_iter().flatten() {
            if let Some((id, state)) = answer {
                let placed = Placed::held_by(id, state);
                // Nobody asked how safe it is there.
                let short = items[index].proof.is_wanted().then_some(0);
                found[index] = Some(Ran { reply: Proven { placed, short }, repeated: false });
            }
        }
        Ok(found)
    }
}

/// A push that did not wait for a proof.
fn unasked(Ran { reply, repeated }: Ran<Placed>) -> Ran<Proven> {
    Ran { reply: Proven { placed: reply, short: None }, repeated }
}

/// The name without the mark of a key.
fn bare(name: &str) -> &[u8] {
    name.strip_prefix('=').unwrap_or(name).as_bytes()
}

fn home(routing: Routing, message: &Prepared) -> u32 {
    if routing.count == 1 { 0 } else { routing.home(bare(&message.name())) }
}
