//! What is kept of one job: everything a restart needs, and nothing else.
//!
//! Decides what a record holds, what a reported status does to it, and how long its texts may be. It refuses to keep a
//! join token longer than a delivery needs it, and to print names, metadata or tokens.

use crate::id::{JobId, Pii, Secret};
use crate::words::JobStatus;
use crate::worker::protocol::Job;

/// How far a job has come. Later stages are larger; a job never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// LiveKit asked; nothing is written yet.
    Offered,
    /// Written down, then answered with "available".
    Answered,
    /// LiveKit assigned it and sent the token.
    Assigned,
    /// Attempts are under way.
    Delivering,
    /// An endpoint took it.
    Delivered,
    /// The agent is in the room.
    Running,
    /// Over, for whatever reason.
    Ended,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Offered,
        Stage::Answered,
        Stage::Assigned,
        Stage::Delivering,
        Stage::Delivered,
        Stage::Running,
        Stage::Ended,
    ];

    /// The stage as it is stored and reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Offered => "offered",
            Stage::Answered => "answered",
            Stage::Assigned => "assigned",
            Stage::Delivering => "delivering",
            Stage::Delivered => "delivered",
            Stage::Running => "running",
            Stage::Ended => "ended",
        }
    }
}

/// The join token of a job, kept until an endpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token as LiveKit minted it.
    pub jwt: Secret<String>,
    /// When it expires, in Unix milliseconds.
    pub expires_at: i64,
    /// Where to join, if LiveKit said so.
    pub url: Option<String>,
}

/// The delivery under way, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which delivery of the job this is, from 1.
    pub number: u32,
    pub url: String,
    /// The attempt under way, or the last one; from 1.
    pub attempt: u32,
    /// When the first attempt at this endpoint began, in Unix milliseconds.
    pub started_at: i64,
}

/// Everything a restart needs to know about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub job: Job,
    /// The identity the agent joins with.
    pub identity: Pii<String>,
    /// How far it has come.
    pub stage: Stage,
    /// What is known of the outcome.
    pub status: JobStatus,
    pub error: Option<String>,
    /// SHA-256 of every status bearer handed out for it, in hex.
    pub bearers: Vec<String>,
    /// The join token, while it is still needed.
    pub token: Option<Token>,
    /// The delivery, once there is one.
    pub delivery: Option<Delivery>,
    /// LiveKit ended the job and the agent has not reported since: when that was, in Unix milliseconds.
    pub terminated_at: Option<i64>,
    /// When LiveKit offered it, in Unix milliseconds.
    pub created_at: i64,
    /// When this record was last changed, in Unix milliseconds.
    pub updated_at: i64,
    /// When it ended, in Unix milliseconds.
    pub ended_at: Option<i64>,
}

impl Record {
    pub fn job_id(&self) -> &JobId {
        &self.job.id
    }
}

/// What becomes of a reported status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRule {
    Apply,
    /// It is known already.
    Repeat,
    /// It contradicts a final status.
    Conflict,
}

/// The status machine: pending → running → success or failed; final ones stay.
pub fn judge_status(current: JobStatus, reported: JobStatus) -> StatusRule {
    if current == reported {
        StatusRule::Repeat
    } else if current.is_terminal() {
        StatusRule::Conflict
    } else {
        StatusRule::Apply
    }
}

/// Cuts an error text to what is kept: 1 KiB, at a character's edge.
pub fn cut_error(text: &str) -> String {
    const LIMIT: usize = 1_024;
    if text.len() <= LIMIT {
        return text.to_owned();
    }
    let mut end = LIMIT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_status_stays_and_a_repeat_is_no_news() {
        use JobStatus::*;
        for (current, reported, rule) in [
            (Pending, Running, StatusRule::Apply),
            (Pending, Success, StatusRule::Apply),
            (Pending, Failed, StatusRule::Apply),
            (Running, Running, StatusRule::Repeat),
            (Running, Success, StatusRule::Apply),
            (Success, Success, StatusRule::Repeat),
            (Success, Failed, StatusRule::Conflict),
            (Success, Running, StatusRule::Conflict),
            (Failed, Running, StatusRule::Conflict),
            (Failed, Failed, StatusRule::Repeat),
        ] {
            assert_eq!(
                judge_status(current, reported),
                rule,
                "{current:?} {reported:?}"
            );
        }
    }

    #[test]
    fn an_error_is_cut_to_1_kib_between_characters() {
        assert_eq!(cut_error("short"), "short");
        let cut = cut_error(&format!("x{}", "é".repeat(1_000)));
        assert_eq!(cut.len(), 1_023);
    }
}
