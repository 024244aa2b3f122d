//! The receiving end of the webhook protocol: admission, the first answer kept, the jobs that run, and their reports.
//!
//! It decides what becomes of a request and of a job, on the word of verifier, table and machine. It refuses to run
//! anything: the room and the user's functions live in JavaScript, which is told what to do next.

mod answer;
mod job;
pub mod status;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard, RwLock};
use url::Url;

use crate::agent::status::{Delivery, Patience, StatusClient};
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::job::{Input, Limits};
use crate::webhook::{Event, Headers, IdempotencyKey, Notification, Verifier};
use crate::words::TerminationReason;

pub use answer::{Answer, Decision};
pub use job::{AddressRules, Step, Steps};
pub use table::{Admission, Table, TableLimits, Ticket};

use job::LiveJob;

/// Everything an agent needs to know; nothing has a default here.
pub struct AgentOptions {
    /// Checks what comes in.
    pub verifier: Verifier,
    /// Which servers may be joined and reported to.
    pub addresses: AddressRules,
    /// Where status goes whatever the webhook says: `{status_base}/api/agents/jobs/{job_id}/status`.
    pub status_base: Option<Url>,
    /// How long a job may take.
    pub limits: Limits,
    /// How much is remembered.
    pub table: TableLimits,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A job or an offer that has to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its number in this process.
    pub ticket: Ticket,
    pub notification: Notification,
}

/// What became of a request.
#[derive(Debug)]
pub enum Received {
    /// It has its answer; `why` it was refused is for the log.
    Answered {
        answer: Answer,
        /// The reason of a refusal.
        why: Option<Error>,
    },
    /// Its first copy is being decided and gives the answer.
    Undecided(Ticket),
    /// The agent has to decide.
    New(Box<NewJob>),
    /// A job has ended elsewhere.
    Terminated {
        answer: Answer,
        /// What to do for each job it is about.
        steps: Vec<(Ticket, Steps)>,
    },
}

pub struct Agent {
    verifier: RwLock<Verifier>,
    addresses: AddressRules,
    status_base: Option<Url>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    began: Instant,
    state: Mutex<State>,
    status: StatusClient,
}

struct State {
    table: Table<IdempotencyKey>,
    jobs: HashMap<Ticket, LiveJob>,
}

impl Agent {
    /// An agent without jobs. It does nothing until something is received.
    pub fn new(options: AgentOptions) -> Self {
        Agent {
            verifier: RwLock::new(options.verifier),
            addresses: options.addresses,
            status_base: options.status_base,
            limits: options.limits,
            clock: options.clock,
            began: Instant::now(),
            state: Mutex::new(State {
                table: Table::new(options.table),
                jobs: HashMap::new(),
            }),
            status: StatusClient::new(Patience::PROTOCOL),
        }
    }

    /// Replaces the verifier, and with it the secrets.
    pub fn set_verifier(&self, verifier: Verifier) {
        *self.verifier.write() = verifier;
    }

    /// Checks a request and says what it is.
    pub fn receive(&self, headers: &Headers<'_>, body: &[u8]) -> Received {
        match self.admit(headers, body) {
            Ok(received) => received,
            Err(error) => Received::Answered {
                answer: Answer::refusal(&error),
                why: Some(error),
            },
        }
    }

    /// Takes the decision on a new delivery: its answer, and the first steps of the job if there is one.
    pub fn decide(&self, ticket: Ticket, decision: &Decision) -> Result<(Answer, Steps), Error> {
        let now = self.elapsed_ms();
        let mut state = self.state();
        let State { table, jobs } = &mut *state;
        let job = jobs
            .get_mut(&ticket)
            .filter(|job| job.is_undecided())
            .ok_or_else(|| conflict("this delivery was decided before"))?;
        let answer = Answer::of(decision, job.subject());
        let accepted = matches!(decision, Decision::Accepted { .. });
        let final_word = answer.status == 200;
        let runs = accepted && !job.is_offer();
        let input = if runs {
            Input::Accepted
        } else {
            Input::Rejected
        };
        let steps = job.handle(self.clock.now(), input)?;
        if final_word {
            table.decided(ticket, answer.body.clone(), runs, now);
        } else {
            table.forget(ticket);
        }
        if !runs {
            jobs.remove(&ticket);
        }
        Ok((answer, steps))
    }

    /// Tells the agent what happened to a job and learns what to do. A job that is over takes nothing in any more.
    pub fn input(&self, ticket: Ticket, input: Input) -> Result<Steps, Error> {
        let now = self.elapsed_ms();
        let mut state = self.state();
        let State { table, jobs } = &mut *state;
        let Some(job) = jobs.get_mut(&ticket) else {
            return job::after_the_end(&input);
        };
        let steps = job.handle(self.clock.now(), input)?;
        if job.is_finished() {
            table.ended(ticket, now);
        }
        if job.is_over() {
            jobs.remove(&ticket);
        }
        Ok(steps)
    }

    /// Delivers what a job has to report, and forgets the job if that was the last of it.
    pub async fn report(&self, ticket: Ticket) -> Delivery {
        let status = self.state().jobs.get(&ticket).and_then(LiveJob::status);
        let Some(status) = status else {
            return Delivery::Nothing;
        };
        let delivery = self.status.flush(&status).await;
        let mut state = self.state();
        if state.jobs.get(&ticket).is_some_and(LiveJob::is_over) {
            state.jobs.remove(&ticket);
        }
        delivery
    }

    /// Gives up reports that did not get through, so that a closing agent ends.
    pub fn abandon_reports(&self) {
        self.status.abandon();
    }

    /// Makes a text fit to be reported or logged: without this job's tokens, and at most 1 KiB.
    pub fn redact(&self, ticket: Ticket, text: &str) -> String {
        match self.state().jobs.get(&ticket) {
            Some(job) => job.redact(text),
            None => crate::redact::redact(text, &[]),
        }
    }

    fn admit(&self, headers: &Headers<'_>, body: &[u8]) -> Result<Received, Error> {
        let notification = self
            .verifier
            .read()
            .verify(headers, body, self.clock.now_ms())?;
        if notification.event == Event::Terminated {
            return Ok(self.terminated(&notification));
        }
        let key = notification.idempotency_key();
        let job = LiveJob::new(
            &notification,
            self.limits,
            &self.addresses,
            self.status_base.as_ref(),
        )?;
        let mut state = self.state();
        let admission = state.table.admit(key, self.elapsed_ms());
        Ok(match admission {
            Admission::New(ticket) => {
                let new = NewJob {
                    ticket,
                    notification,
                };
                state.jobs.insert(ticket, job);
                Received::New(Box::new(new))
            }
            Admission::Undecided(ticket) => Received::Undecided(ticket),
            Admission::Decided(body) => answered(Answer::repeated(body)),
            Admission::Full => Received::Answered {
                answer: Answer::full(),
                why: Some(Error::new(
                    Code::AtCapacity,
                    "the agent runs as many jobs as maxJobs allows",
                )),
            },
        })
    }

    fn terminated(&self, notification: &Notification) -> Received {
        let now = self.elapsed_ms();
        let mut state = self.state();
        let State { table, jobs } = &mut *state;
        let mut steps = Vec::new();
        for (ticket, job) in jobs
            .iter_mut()
            .filter(|(_, job)| job.is_about(notification))
        {
            let input = Input::Terminated(reason_of(notification));
            // Only `complete` and `fail` can contradict.
            if let Ok(todo) = job.handle(self.clock.now(), input) {
                steps.push((*ticket, todo));
            }
            if job.is_finished() {
                table.ended(*ticket, now);
            }
        }
        Received::Terminated {
            answer: Answer::noted(),
            steps,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the state; if it ever does, one job is worth less than all of them.
        self.state.lock()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A word of a later version ends the job like any other cancellation.
fn reason_of(notification: &Notification) -> TerminationReason {
    let known = notification
        .reason
        .as_deref()
        .and_then(TerminationReason::parse);
    known.unwrap_or(TerminationReason::Cancelled)
}

fn answered(answer: Answer) -> Received {
    Received::Answered { answer, why: None }
}

fn conflict(message: &'static str) -> Error {
    Error::new(Code::JobStateConflict, message)
}
