//! Which webhook was seen before, and what it was answered: the first answer is the only one.
//!
//! It decides what a delivery is: new, a repetition of a decided one, a repetition of one being decided, or one too
//! many. It refuses to forget a job that still runs, and to grow without bound.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// The number of one delivery within this process; never used twice.
pub type Ticket = u32;

/// How much is kept and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Jobs being decided or running at the same time.
    pub max_jobs: usize,
    /// Answers kept beside those of running jobs.
    pub max_answers: usize,
    /// How long an answer is kept after its last use and the end of its job. Milliseconds.
    pub retain_ms: u64,
}

/// What a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nobody saw it before; it has to be decided.
    New(Ticket),
    /// Its first copy is being decided.
    Undecided(Ticket),
    Decided(Arc<str>),
    /// There is no room for another job.
    Full,
}

#[derive(Debug)]
enum State {
    Deciding,
    Live(Arc<str>),
    Settled { answer: Arc<str>, expires_at: u64 },
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    state: State,
}

/// The deliveries of one agent, by what makes two of them the same one.
///
/// **A delivery is decided at most once as long as its answer is kept.**
#[derive(Debug)]
pub struct Table<K> {
    limits: TableLimits,
    tickets: HashMap<K, Ticket>,
    entries: HashMap<Ticket, Entry<K>>,
    /// The settled ones, by the time they expire.
    expiry: BTreeSet<(u64, Ticket)>,
    last_ticket: Ticket,
}

impl<K: Clone + Eq + Hash> Table<K> {
    pub fn new(limits: TableLimits) -> Self {
        Table {
            limits,
            tickets: HashMap::new(),
            entries: HashMap::new(),
            expiry: BTreeSet::new(),
            last_ticket: 0,
        }
    }

    /// Jobs being decided or running.
    pub fn busy(&self) -> usize {
        self.entries.len() - self.expiry.len()
    }

    /// Looks a delivery up at `now` (milliseconds on a clock that never runs back) and books a place for a new one.
    pub fn admit(&mut self, key: K, now: u64) -> Admission {
        self.expire(now);
        if let Some(ticket) = self.tickets.get(&key).copied() {
            return self.seen(ticket, now);
        }
        if self.busy() >= self.limits.max_jobs {
            return Admission::Full;
        }
        self.last_ticket = self.free_ticket();
        let ticket = self.last_ticket;
        self.tickets.insert(key.clone(), ticket);
        let state = State::Deciding;
        self.entries.insert(ticket, Entry { key, state });
        Admission::New(ticket)
    }

    /// Keeps the answer of a new delivery. `live`: a job runs now, until `ended`.
    pub fn decided(&mut self, ticket: Ticket, answer: Arc<str>, live: bool, now: u64) {
        if let Some(entry) = self.entries.get_mut(&ticket) {
            if matches!(entry.state, State::Deciding) {
                entry.state = State::Live(answer);
            }
        }
        if !live {
            self.ended(ticket, now);
        }
    }

    /// Drops a delivery that could not be decided, so that its next copy is asked again.
    pub fn forget(&mut self, ticket: Ticket) {
        let deciding = self
            .entries
            .get(&ticket)
            .is_some_and(|entry| matches!(entry.state, State::Deciding));
        if deciding {
            self.remove(ticket);
        }
    }

    /// The job is over; its answer stays for a while.
    pub fn ended(&mut self, ticket: Ticket, now: u64) {
        let Some(entry) = self.entries.get_mut(&ticket) else {
            return;
        };
        if let State::Live(answer) = &entry.state {
            let expires_at = now.saturating_add(self.limits.retain_ms);
            let answer = answer.clone();
            entry.state = State::Settled { answer, expires_at };
            self.expiry.insert((expires_at, ticket));
            self.expire(now);
        }
    }

    fn seen(&mut self, ticket: Ticket, now: u64) -> Admission {
        let Some(entry) = self.entries.get_mut(&ticket) else {
            return Admission::Full;
        };
        match &mut entry.state {
            State::Deciding => Admission::Undecided(ticket),
            State::Live(answer) => Admission::Decided(answer.clone()),
            State::Settled { answer, expires_at } => {
                self.expiry.remove(&(*expires_at, ticket));
                *expires_at = now.saturating_add(self.limits.retain_ms);
                self.expiry.insert((*expires_at, ticket));
                Admission::Decided(answer.clone())
            }
        }
    }

    /// Drops what expired, then the longest unused until the rest fits.
    fn expire(&mut self, now: u64) {
        while let Some((expires_at, ticket)) = self.expiry.first().copied() {
            if expires_at > now && self.expiry.len() <= self.limits.max_answers {
                break;
            }
            self.expiry.pop_first();
            self.remove(ticket);
        }
    }

    fn remove(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entries.remove(&ticket) {
            self.tickets.remove(&entry.key);
        }
    }

    fn free_ticket(&self) -> Ticket {
        let mut ticket = self.last_ticket.wrapping_add(1);
        while self.entries.contains_key(&ticket) {
            ticket = ticket.wrapping_add(1);
        }
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: TableLimits = TableLimits {
        max_jobs: 3,
        max_answers: 4,
        retain_ms: 1_000,
    };

    fn new(table: &mut Table<u32>, job: u32, now: u64) -> Ticket {
        match table.admit(job, now) {
            Admission::New(ticket) => ticket,
            other => panic!("expected a new delivery, got {other:?}"),
        }
    }

    #[test]
    fn copies_wait_for_the_first_and_get_its_answer() {
        let mut table = Table::new(LIMITS);
        let ticket = new(&mut table, 1, 0);
        assert_eq!(table.admit(1, 1), Admission::Undecided(ticket));
        table.decided(ticket, "yes".into(), true, 2);
        table.decided(ticket, "no".into(), true, 2);
        assert_eq!(table.admit(1, 3), Admission::Decided("yes".into()));
    }

    #[test]
    fn what_could_not_be_decided_is_asked_again() {
        let mut table = Table::new(LIMITS);
        let ticket = new(&mut table, 1, 0);
        table.forget(ticket);
        assert_ne!(new(&mut table, 1, 0), ticket);
    }

    #[test]
    fn an_answer_is_kept_while_its_job_runs_and_for_the_time_given_after_it() {
        let mut table = Table::new(LIMITS);
        let ticket = new(&mut table, 1, 0);
        table.decided(ticket, "yes".into(), true, 0);
        assert_eq!(table.admit(1, 1_000_000), Admission::Decided("yes".into()));
        table.ended(ticket, 1_000_000);
        assert_eq!(table.admit(1, 1_000_999), Admission::Decided("yes".into()));
        // That use counted.
        assert_eq!(table.admit(1, 1_001_998), Admission::Decided("yes".into()));
        assert!(matches!(table.admit(1, 1_002_998), Admission::New(_)));
    }

    #[test]
    fn s1_18_a_full_table_takes_no_new_job_but_still_knows_the_old_ones() {
        let mut table = Table::new(LIMITS);
        let tickets: Vec<Ticket> = (0..3).map(|job| new(&mut table, job, 0)).collect();
        table.decided(tickets[0], "yes".into(), true, 0);
        assert_eq!(table.admit(9, 0), Admission::Full);
        assert_eq!(table.admit(0, 0), Admission::Decided("yes".into()));
        table.ended(tickets[0], 0);
        assert!(matches!(table.admit(9, 0), Admission::New(_)));
    }

    #[test]
    fn a_rejection_frees_its_place_at_once() {
        let mut table = Table::new(LIMITS);
        for job in 0..10 {
            let ticket = new(&mut table, job, 0);
            table.decided(ticket, "no".into(), false, 0);
        }
        assert_eq!(table.busy(), 0);
    }

    proptest! {
        #[test]
        fn the_table_stays_within_its_bounds_and_never_forgets_a_job_that_runs(
            steps in proptest::collection::vec((0_u8..4, 0_u32..12, 0_u64..60), 0..200),
        ) {
            let mut table = Table::new(LIMITS);
            let mut now = 0;
            let mut open: HashMap<u32, (Ticket, bool)> = HashMap::new();
            for (step, job, pause) in steps {
                now += pause;
                match (step, open.get(&job).copied()) {
                    (0 | 1, known) => match table.admit(job, now) {
                        Admission::New(ticket) => {
                            prop_assert!(known.is_none());
                            open.insert(job, (ticket, false));
                        }
                        Admission::Undecided(ticket) => prop_assert_eq!(known, Some((ticket, false))),
                        Admission::Decided(_) => prop_assert!(known.is_none_or(|(_, live)| live)),
                        Admission::Full => {
                            prop_assert!(known.is_none());
                            prop_assert_eq!(open.len(), LIMITS.max_jobs);
                        }
                    },
                    (2, Some((ticket, false))) => {
                        table.decided(ticket, "yes".into(), true, now);
                        open.insert(job, (ticket, true));
                    }
                    (3, Some((ticket, live))) => {
                        if live { table.ended(ticket, now) } else { table.forget(ticket) }
                        open.remove(&job);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.busy(), open.len());
                prop_assert!(table.expiry.len() <= LIMITS.max_answers);
                prop_assert_eq!(table.tickets.len(), table.entries.len());
            }
        }
    }
}
