//! Everything a worker socket decides: when to connect, what to answer, when a silent server counts as dead, which
//! jobs this socket may still speak about. Performs nothing; time is an argument, randomness is a seed.

mod retry;
mod table;
mod times;
mod words;

use std::collections::VecDeque;
use std::time::Instant;

use crate::id::{JobId, Secret, WorkerId};
use crate::words::JobStatus;
use crate::worker::protocol::{Answer, FromServer, Job, ToServer};

use retry::Backoff;
use table::Table;

pub use times::{ANSWER_WINDOW, ASSIGNMENT_WINDOW, PING_EVERY, REGISTRATION_WINDOW, SILENCE};
pub use words::{AnswerOutcome, Config, Event, Input, Output, Reason, UpdateOutcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting { until: Instant },
    Connecting,
    Registering { until: Instant },
    Registered { since: Instant },
    Closed,
}

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
    started_at: Option<Instant>,
    sent_load: (bool, f32),
    ignored: u64,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A machine that waits for `Start`.
    pub fn new(config: Config) -> Self {
        Machine {
            backoff: Backoff::new(config.seed),
            config,
            phase: Phase::Idle,
            draining: false,
            ever_registered: false,
            told_active: 0,
            jobs: Table::default(),
            heard_at: None,
            ping_at: None,
            started_at: None,
            sent_load: (false, 0.0),
            ignored: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Afterwards, perform what [`Machine::next_output`] hands over.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.phase == Phase::Closed {
            return;
        }
        self.pass_time(now);
        match input {
            Input::Start if self.phase == Phase::Idle => {
                self.started_at = Some(now);
                self.connect();
            }
            Input::Opened if self.phase == Phase::Connecting => self.opened(now),
            Input::Heard => self.heard_at = Some(now),
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

    pub fn answer(&mut self, now: Instant, job_id: &JobId, answer: Answer) -> AnswerOutcome {
        self.pass_time(now);
        if !self.jobs.take_offer(job_id) {
            return AnswerOutcome::NotWaiting;
        }
        if matches!(answer, Answer::Accept(_)) {
            self.jobs
                .expect_assignment(job_id.clone(), now + ASSIGNMENT_WINDOW);
        }
        self.send_answer(job_id.clone(), answer);
        AnswerOutcome::Sent
    }

    /// Reports what became of a job of this connection.
    pub fn update_job(
        &mut self,
        now: Instant,
        job_id: &JobId,
        status: JobStatus,
        error: String,
    ) -> UpdateOutcome {
        self.pass_time(now);
        if !self.is_registered() {
            return UpdateOutcome::NoSocket;
        }
        if !self.jobs.is_assigned(job_id) {
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
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tell `Tick` at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
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
    fn pass_time(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { until } if now >= until => self.connect(),
            Phase::Registering { until } if now >= until => self.lost(now, Reason::NotRegistered),
            Phase::Registered { .. } => {
                if self.heard_at.is_some_and(|at| now >= at + SILENCE) {
                    self.lost(now, Reason::Silent);
                } else if self.ping_at.is_some_and(|at| now >= at) {
                    self.ping(now);
                }
            }
            _ => {}
        }
        for job_id in self.jobs.expired_offers(now) {
            self.send_answer(job_id, Answer::Decline);
        }
        for job_id in self.jobs.expired_assignments(now) {
            self.event(Event::AssignmentLost { job_id });
        }
    }

    fn connect(&mut self) {
        self.phase = Phase::Connecting;
        self.outputs.push_back(Output::Connect);
    }

    fn opened(&mut self, now: Instant) {
        self.phase = Phase::Registering {
            until: now + REGISTRATION_WINDOW,
        };
        self.send(ToServer::Register(self.config.registration.clone()));
    }

    fn message(&mut self, now: Instant, message: FromServer) {
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
                if self.jobs.end(&job_id) {
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

    fn registered(&mut self, now: Instant, worker_id: WorkerId, server_version: String) {
        self.phase = Phase::Registered { since: now };
        self.ever_registered = true;
        self.heard_at = Some(now);
        self.ping_at = Some(now + PING_EVERY);
        // What LiveKit assumes of a new worker.
        self.sent_load = (false, 0.0);
        self.event(Event::Registered {
            worker_id,
            server_version,
        });
        self.report_load();
    }

    fn offered(&mut self, now: Instant, job: Box<Job>) {
        if self.jobs.is_offered(&job.id) {
            // The same question twice has one answer.
            self.ignored += 1;
        } else if self.draining || !self.has_room() || self.jobs.holds(&job.id) {
            self.send_answer(job.id, Answer::Decline);
        } else {
            self.jobs.offer(job.id.clone(), now + ANSWER_WINDOW);
            self.event(Event::Offer {
                job,
                received_at: now,
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
    fn lost(&mut self, now: Instant, reason: Reason) {
        if let Phase::Registered { since } = self.phase {
            self.backoff.succeeded(now - since);
        }
        if matches!(self.phase, Phase::Idle | Phase::Waiting { .. }) {
            return;
        }
        let refused = matches!(reason, Reason::Refused(401 | 403));
        let give_up = self.draining || (refused && !self.ever_registered);
        let wait = (!give_up).then(|| self.backoff.next(refused));
        self.outputs
            .push_back(Output::Disconnect { goodbye: false });
        for job_id in self.jobs.clear() {
            self.event(Event::AssignmentLost { job_id });
        }
        self.event(Event::Disconnected {
            reason,
            will_retry_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        });
        match wait {
            Some(wait) => self.phase = Phase::Waiting { until: now + wait },
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

    fn ping(&mut self, now: Instant) {
        let age = self.started_at.map(|at| now - at).unwrap_or_default();
        self.ping_at = Some(now + PING_EVERY);
        self.send(ToServer::Ping {
            timestamp: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
        });
    }

    fn running(&self) -> u32 {
        self.told_active.max(self.jobs.assigned())
    }

    /// Whether one more job fits beside those running, expected and offered.
    fn has_room(&self) -> bool {
        self.running().saturating_add(self.jobs.pending()) < self.config.max_jobs
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
