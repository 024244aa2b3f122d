//! The task of one worker socket: tells the machine what happens and performs what it orders.
//!
//! Never waits for the owner to read its events, nor for the server to take what is sent: a server whose queue is full
//! counts as gone.

use std::collections::VecDeque;
use std::future::{pending, Future};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use livekit_token::{AccessToken, VideoGrants};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep_until, Instant};
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::id::{JobId, Secret};
use crate::net::ws;
use crate::net::ws::{Frame, Outgoing, WsError, WsOptions, WsReceiver, WsSender};
use crate::words::JobStatus;
use crate::worker::machine::{
    AnswerOutcome, Config, Event, Input, Machine, Output, Reason, UpdateOutcome,
};
use crate::worker::protocol;
use crate::worker::protocol::Answer;

/// Long enough for clocks that differ by minutes; LiveKit looks at it at the upgrade only.
const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// LiveKit puts several fields of up to 512 KiB into one message, older servers larger ones, and a message above the limit
/// costs the connection with every job on it. Its own SDKs' libraries take 64 MiB.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
const GOODBYE: Duration = Duration::from_secs(1);
/// Events that wait for the owner, beside those in its channel, before offers are declined for it.
const OUTBOX: usize = 256;

/// What a handle asks for.
pub(super) enum Command {
    Answer {
        job_id: JobId,
        answer: Answer,
        reply: oneshot::Sender<AnswerOutcome>,
    },
    UpdateJob {
        job_id: JobId,
        status: JobStatus,
        error: String,
        reply: oneshot::Sender<UpdateOutcome>,
    },
    Drain,
    Close,
}

/// What the driver is built from.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) url: Url,
    pub(super) api_key: String,
    pub(super) api_secret: Secret<String>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) active: watch::Receiver<u32>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) registered: Arc<AtomicBool>,
}

type Opening = Pin<Box<dyn Future<Output = Result<(WsSender, WsReceiver), WsError>> + Send>>;

enum Socket {
    None,
    Opening(Opening),
    Open(WsSender, WsReceiver),
}

enum Happening {
    Opened(WsSender, WsReceiver),
    Frame(Frame),
    Lost(Reason),
}

pub(super) struct Driver {
    machine: Machine,
    socket: Socket,
    outbox: VecDeque<Event>,
    setup: Setup,
}

impl Driver {
    pub(super) fn new(setup: Setup) -> Self {
        Driver {
            machine: Machine::new(setup.config.clone()),
            socket: Socket::None,
            outbox: VecDeque::new(),
            setup,
        }
    }

    pub(super) async fn run(self) {
        let events = self.setup.events.clone();
        let registered = self.setup.registered.clone();
        if AssertUnwindSafe(self.work()).catch_unwind().await.is_err() {
            tracing::error!("a worker panicked and is closed; this is a bug in roomhook");
            registered.store(false, Ordering::Release);
            let _ = events.send(Event::Closed).await;
        }
    }

    async fn work(mut self) {
        let events = self.setup.events.clone();
        self.tell(Input::Start);
        loop {
            self.perform().await;
            if self.machine.is_closed() {
                break;
            }
            let wake_at = self.machine.poll_timeout().map(Instant::from_std);
            tokio::select! {
                happening = happening(&mut self.socket) => self.happened(happening),
                command = self.setup.commands.recv() => self.command(command),
                Ok(()) = self.setup.active.changed() => {
                    let active = *self.setup.active.borrow_and_update();
                    self.tell(Input::SetActive(active));
                }
                () = wake(wake_at) => self.tell(Input::Tick),
                permit = events.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.outbox.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => self.outbox.clear(),
                },
                () = events.closed() => self.tell(Input::Close),
            }
        }
        // Whoever waits in `close` may be the one who reads the events, so let it go first.
        self.setup.commands.close();
        for event in self.outbox {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(SystemClock.now(), input);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened(sender, receiver) => {
                self.socket = Socket::Open(sender, receiver);
                self.tell(Input::Opened);
            }
            Happening::Frame(frame) => {
                self.tell(Input::Heard);
                if let Frame::Binary(bytes) = frame {
                    match protocol::decode(&bytes) {
                        Ok(message) => self.tell(Input::Message(message)),
                        Err(error) => tracing::warn!(%error, "a message of LiveKit was ignored"),
                    }
                }
            }
            Happening::Lost(reason) => {
                self.socket = Socket::None;
                self.tell(Input::Lost(reason));
            }
        }
    }

    fn command(&mut self, command: Option<Command>) {
        let now = SystemClock.now();
        match command {
            Some(Command::Answer {
                job_id,
                answer,
                reply,
            }) => {
                let _ = reply.send(self.machine.answer(now, &job_id, answer));
            }
            Some(Command::UpdateJob {
                job_id,
                status,
                error,
                reply,
            }) => {
                let _ = reply.send(self.machine.update_job(now, &job_id, status, error));
            }
            Some(Command::Drain) => self.tell(Input::Drain),
            // Without a handle nobody could ever close it.
            Some(Command::Close) | None => self.tell(Input::Close),
        }
    }

    async fn perform(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect => self.connect(),
                Output::Send(message) => self.send(protocol::encode(message)),
                Output::Disconnect { goodbye } => {
                    self.setup.registered.store(false, Ordering::Release);
                    match std::mem::replace(&mut self.socket, Socket::None) {
                        Socket::Open(_, receiver) if goodbye => {
                            receiver.close(1000, "", GOODBYE).await;
                        }
                        _ => {}
                    }
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn connect(&mut self) {
        let token = AccessToken::with_api_key(&self.setup.api_key, self.setup.api_secret.expose())
            .with_ttl(TOKEN_LIFE)
            .with_grants(VideoGrants {
                agent: true,
                ..Default::default()
            })
            .to_jwt();
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                return self.tell(Input::Lost(Reason::Broken(error.to_string())));
            }
        };
        let url = self.setup.url.clone();
        // All offers can run out of time in the same instant, and each is answered.
        let burst = self.setup.config.max_jobs.saturating_mul(2).min(1 << 16) as usize;
        let options = WsOptions {
            queue: 256 + burst,
            max_message_bytes: MAX_MESSAGE_BYTES,
            ..WsOptions::default()
        };
        self.socket = Socket::Opening(Box::pin(async move {
            let headers = [("Authorization".to_owned(), format!("Bearer {token}"))];
            ws::connect(&url, &headers, &options).await
        }));
    }

    fn send(&mut self, bytes: bytes::Bytes) {
        if let Socket::Open(sender, _) = &self.socket {
            if let Err(error) = sender.send(Outgoing::Binary(bytes)) {
                self.tell(Input::Lost(Reason::Broken(error.to_string())));
            }
        }
    }

    /// Queues an event. While too many wait, the news of the connection are dropped and offers declined: nobody reads.
    fn event(&mut self, event: Event) {
        self.note(&event);
        let crowded = self.outbox.len() >= OUTBOX;
        match event {
            Event::Offer { job, .. } if crowded => {
                let now = SystemClock.now();
                self.machine.answer(now, &job.id, Answer::Decline);
            }
            Event::Registered { .. } | Event::Disconnected { .. } if crowded => {}
            event => self.outbox.push_back(event),
        }
    }

    /// What whoever drives the worker hears as an event is no news to an operator.
    fn note(&self, event: &Event) {
        let registration = &self.setup.config.registration;
        let agent = registration.agent_name.as_str();
        let job_type = registration.job_type.as_str();
        match event {
            Event::Registered {
                worker_id,
                server_version,
            } => {
                self.setup.registered.store(true, Ordering::Release);
                tracing::debug!(agent, job_type, %worker_id, server_version, "worker registered");
            }
            Event::Disconnected {
                reason,
                will_retry_ms,
            } => {
                let ignored = self.machine.ignored();
                tracing::debug!(
                    agent, job_type, %reason, will_retry_ms, ignored, "worker disconnected"
                );
            }
            Event::AssignmentLost { job_id } => {
                tracing::warn!(agent, job_type, %job_id, "LiveKit did not assign an accepted job");
            }
            _ => {}
        }
    }
}

async fn happening(socket: &mut Socket) -> Happening {
    match socket {
        Socket::None => pending().await,
        Socket::Opening(opening) => match opening.await {
            Ok((sender, receiver)) => Happening::Opened(sender, receiver),
            Err(WsError::Refused(refusal)) => Happening::Lost(Reason::Refused(refusal.status)),
            Err(error) => Happening::Lost(Reason::Unreachable(error.to_string())),
        },
        Socket::Open(_, receiver) => match receiver.next().await {
            Ok(frame) => Happening::Frame(frame),
            Err(WsError::Closed(_)) => Happening::Lost(Reason::ClosedByServer),
            Err(error) => Happening::Lost(Reason::Broken(error.to_string())),
        },
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
