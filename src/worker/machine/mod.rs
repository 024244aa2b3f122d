//! Everything a worker socket decides: when to connect, what to answer, when a silent server counts as dead, which
//! jobs this socket may still speak about. Performs nothing; time is an argument, randomness is a seed.

mod io;
mod table;
mod times;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::id::{JobId, Secret, WorkerId};
use crate::retry::Backoff;
use crate::time::Now;
use crate::words::JobStatus;
use crate::worker::protocol::{Answer, FromServer, Job, ToServer};

use table::Table;

pub use io::{AnswerOutcome, Config, Event, Input, Output, Reason, UpdateOutcome};
pub use times::{ANSWER_WINDOW, ASSIGNMENT_WINDOW, PING_EVERY, REGISTRATION_WINDOW, SILENCE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting { until: Instant },
    Connecting,
    Registering { until: Instant },
    Registered { since: Instant },
    Closed,
}

/// Waits between connections, each shortened at random by up to a half.
const FIRST_WAIT_MS: u64 = 500;
const LONGEST_WAIT_MS: u64 = 10_000;
/// The wait after a refused API key.
const REFUSED_WAIT_MS: u64 = 30_000;
/// A registration that held this long starts the waits anew.
const STEADY: Duration = Duration::from_secs(10);

/// One worker socket: connecting → registered → draining → closed.
///
/// **Every availability request is answered exactly once, before the server's window closes.** The exception is one
/// whose connection ends first: LiveKit has then asked somebody else.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    phase: Phase,
    draining: bool,
    ever_registered: bool,
    told_active: u32,
    jobs: Table,
    backoff: Backoff,
    heard_at: Option<Instant>,
    ping_at: Option<Instant>,
    sent_load: (bool, f32),
    ignored: u64,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A machine that waits for `Start`.
    pub fn new(config: Config) -> Self {
        Machine {
            backoff: Backoff::new(FIRST_WAIT_MS, LONGEST_WAIT_MS, config.seed),
            config,
            phase: Phase::Idle,
            draining: false,
            ever_registered: false,
            told_active: 0,
            jobs: Table::default(),
            heard_at: None,
            ping_at: None,
            sent_load: (false, 0.0),
            ignored: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Afterwards, perform what [`Machine::poll_output`] hands over.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.phase == Phase::Closed {
            return;
        }
        self.pass_time(now);
        match input {
            Input::Start if self.phase == Phase::Idle => self.connect(),
            Input::Opened if self.phase == Phase::Connecting => self.opened(now),
            Input::Heard => self.heard_at = Some(now.instant),
            Input::Message(message) => self.message(now, message),
            Input::Lost(reason) => self.lost(now, reason),
            Input::SetActive(active) => {
                self.told_active = active;
                self.report_load();
            }
            Input::Drain => self.drain(),
            Input::Close => self.close(),
            Input::Start | Input::Opened | Input::Tick => {}
        }
    }

    pub fn answer(&mut self, now: Now, job_id: &JobId, answer: Answer) -> AnswerOutcome {
        self.pass_time(now);
        if !self.jobs.take_offer(job_id) {
            return AnswerOutcome::NotWaiting;
        }
        if matches!(answer, Answer::Accept(_)) {
            self.jobs
                .expect_assignment(job_id.clone(), now.instant + ASSIGNMENT_WINDOW);
        }
        self.send_answer(job_id.clone(), answer);
        AnswerOutcome::Sent
    }

    /// Reports what became of a job of this connection. One that LiveKit ended is owed one final status all the same:
    /// livekit-server 1.13.5 keeps what it holds for the job until then (livekit/livekit#4894).
    pub fn update_job(
        &mut self,
        now: Now,
        job_id: &JobId,
        status: JobStatus,
        error: String,
    ) -> UpdateOutcome {
        self.pass_time(now);
        if !self.is_registered() {
            return UpdateOutcome::NoSocket;
        }
        let owed = status.is_terminal() && self.jobs.is_terminated(job_id);
        if !owed && !self.jobs.is_assigned(job_id) {
            return UpdateOutcome::Unknown;
        }
        self.send(ToServer::UpdateJob {
            job_id: job_id.clone(),
            status,
            error,
        });
        if status.is_terminal() {
            self.jobs.end(job_id);
            self.report_load();
        }
        UpdateOutcome::Sent
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tell `Tick` at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Waiting { until } | Phase::Registering { until } => Some(until),
            Phase::Registered { .. } => [self.heard_at.map(|at| at + SILENCE), self.ping_at]
                .into_iter()
                .flatten()
                .min(),
            Phase::Idle | Phase::Connecting | Phase::Closed => None,
        };
        [phase, self.jobs.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether LiveKit knows this worker now.
    pub fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered { .. })
    }

    /// Whether the last event has been given.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// How many messages of the server meant nothing here.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Everything that time alone brings about. Runs before each input, so that no input finds a deadline that has
    /// passed unnoticed.
    fn pass_time(&mut self, now: Now) {
        match self.phase {
            Phase::Waiting { until } if now.instant >= until => self.connect(),
            Phase::Registering { until } if now.instant >= until => {
                self.lost(now, Reason::NotRegistered)
            }
            Phase::Registered { .. } => {
                if self.heard_at.is_some_and(|at| now.instant >= at + SILENCE) {
                    self.lost(now, Reason::Silent);
                } else if self.ping_at.is_some_and(|at| now.instant >= at) {
                    self.ping(now);
                }
            }
            _ => {}
        }
        for job_id in self.jobs.expired_offers(now.instant) {
            self.send_answer(job_id, Answer::Decline);
        }
        for job_id in self.jobs.expired_assignments(now.instant) {
            self.event(Event::AssignmentLost { job_id });
        }
    }

    fn connect(&mut self) {
        self.phase = Phase::Connecting;
        self.outputs.push_back(Output::Connect);
    }

    fn opened(&mut self, now: Now) {
        self.phase = Phase::Registering {
            until: now.instant + REGISTRATION_WINDOW,
        };
        self.send(ToServer::Register(self.config.registration.clone()));
    }

    fn message(&mut self, now: Now, message: FromServer) {
        match (self.phase, message) {
            (
                Phase::Registering { .. },
                FromServer::Registered {
                    worker_id,
                    server_version,
                },
            ) => self.registered(now, worker_id, server_version),
            (Phase::Registered { .. }, FromServer::Availability(job)) => self.offered(now, job),
            (Phase::Registered { .. }, FromServer::Assignment { job, token, url }) => {
                self.assigned(job, token, url);
            }
            (Phase::Registered { .. }, FromServer::Termination(job_id)) => {
                if self.jobs.terminate(&job_id) {
                    self.event(Event::Terminated { job_id });
                    self.report_load();
                } else {
                    self.ignored += 1;
                }
            }
            (Phase::Registered { .. }, FromServer::Pong) => {}
            _ => self.ignored += 1,
        }
    }

    fn registered(&mut self, now: Now, worker_id: WorkerId, server_version: String) {
        let since = now.instant;
        self.phase = Phase::Registered { since };
        self.ever_registered = true;
        self.heard_at = Some(since);
        self.ping_at = Some(since + PING_EVERY);
        // What LiveKit assumes of a new worker.
        self.sent_load = (false, 0.0);
        self.event(Event::Registered {
            worker_id,
            server_version,
        });
        self.report_load();
    }

    fn offered(&mut self, now: Now, job: Box<Job>) {
        if self.jobs.is_offered(&job.id) {
            // The same question twice has one answer.
            self.ignored += 1;
        } else if self.draining || !self.has_room() || self.jobs.holds(&job.id) {
            self.send_answer(job.id, Answer::Decline);
        } else {
            self.jobs.offer(job.id.clone(), now.instant + ANSWER_WINDOW);
            self.event(Event::Offer {
                job,
                received_at: now.instant,
            });
        }
    }

    fn assigned(&mut self, job: Box<Job>, token: Secret<String>, url: Option<String>) {
        if self.jobs.assign(&job.id) {
            self.event(Event::Assigned { job, token, url });
            self.report_load();
        } else if self.jobs.is_assigned(&job.id) {
            self.ignored += 1;
        } else {
            // Reported as lost, or never accepted: nobody here will run it, so LiveKit should not think so.
            self.ignored += 1;
            self.send(ToServer::UpdateJob {
                job_id: job.id,
                status: JobStatus::Failed,
                error: "the assignment came too late".to_owned(),
            });
        }
    }

    /// The connection is gone, or given up.
    fn lost(&mut self, now: Now, reason: Reason) {
        if let Phase::Registered { since } = self.phase {
            // A server that accepts and hangs up has not worked.
            if now.instant >= since + STEADY {
                self.backoff.reset();
            }
        }
        if matches!(self.phase, Phase::Idle | Phase::Waiting { .. }) {
            return;
        }
        let refused = matches!(reason, Reason::Refused(401 | 403));
        let give_up = self.draining || (refused && !self.ever_registered);
        let asked = refused.then_some(REFUSED_WAIT_MS);
        let wait = (!give_up).then(|| self.backoff.next_wait(asked));
        self.outputs
            .push_back(Output::Disconnect { goodbye: false });
        for job_id in self.jobs.clear() {
            self.event(Event::AssignmentLost { job_id });
        }
        self.event(Event::Disconnected {
            reason,
            will_retry_ms: wait,
        });
        match wait {
            Some(wait) => {
                let until = now.after_ms(wait);
                self.phase = Phase::Waiting { until };
            }
            None => self.end(),
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        match self.phase {
            Phase::Registered { .. } => self.report_load(),
            // No connection has jobs to wait for.
            _ => self.close(),
        }
    }

    fn close(&mut self) {
        for job_id in self.jobs.take_offers() {
            self.send_answer(job_id, Answer::Decline);
        }
        for job_id in self.jobs.clear() {
            self.event(Event::AssignmentLost { job_id });
        }
        let goodbye = self.is_registered();
        self.outputs.push_back(Output::Disconnect { goodbye });
        self.end();
    }

    fn end(&mut self) {
        self.phase = Phase::Closed;
        self.event(Event::Closed);
    }

    fn ping(&mut self, now: Now) {
        self.ping_at = Some(now.instant + PING_EVERY);
        self.send(ToServer::Ping {
            timestamp: now.unix_ms,
        });
    }

    fn running(&self) -> u32 {
        self.told_active.max(self.jobs.assigned())
    }

    /// Whether one more job fits. The owner's count includes the offers that it has heard of, so they are not added to it.
    fn has_room(&self) -> bool {
        let here = self.jobs.assigned().saturating_add(self.jobs.pending());
        self.told_active.max(here) < self.config.max_jobs
    }

    /// Tells LiveKit the load when it changed: below 0.7, from which on LiveKit would not ask at all.
    fn report_load(&mut self) {
        if !self.is_registered() {
            return;
        }
        let running = self.running();
        let full = self.draining || running >= self.config.max_jobs;
        let share = f64::from(running) / f64::from(self.config.max_jobs);
        let load = (0.69 * share.min(1.0)) as f32;
        if self.sent_load != (full, load) {
            self.sent_load = (full, load);
            self.send(ToServer::UpdateWorker { full, load });
        }
    }

    fn send_answer(&mut self, job_id: JobId, answer: Answer) {
        let agent_name = self.config.registration.agent_name.clone();
        self.send(ToServer::Availability {
            job_id,
            agent_name,
            answer,
        });
    }

    fn send(&mut self, message: ToServer) {
        self.outputs.push_back(Output::Send(message));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
