//! The headers that say who is calling, from the job, the state of its room, and typed choices.
//!
//! It cannot fail, and it does not look at the local participant of a room that is not connected.

#![forbid(unsafe_code)]

/// The state of the job's room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RoomState {
    New,
    Connecting,
    Connected,
    Reconnecting,
    Disconnected,
    Closed,
}

impl RoomState {
    /// Whether the local participant has a sid that means something: its current or its last known one.
    pub const fn has_participant(self) -> bool {
        matches!(self, RoomState::Connected | RoomState::Reconnecting)
    }
}

/// How urgently the gateway serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Priority {
    Priority,
    Standard,
    Low,
}

impl Priority {
    /// As it stands in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Priority => "priority",
            Priority::Standard => "standard",
            Priority::Low => "low",
        }
    }

    /// Exactly the three known words.
    pub fn parse(text: &str) -> Option<Self> {
        [Priority::Priority, Priority::Standard, Priority::Low]
            .into_iter()
            .find(|priority| priority.as_str() == text)
    }
}

/// What is known of a job.
#[derive(Clone, Debug)]
pub struct JobView<'a> {
    /// `RM_…`, from the job, so known before connect.
    pub room_sid: Option<&'a str>,
    /// `AJ_…`
    pub job_id: Option<&'a str>,
    /// The state of the live room.
    pub room_state: RoomState,
    /// From the environment of hosted agents.
    pub worker_token: Option<&'a str>,
    /// A fresh one for each attempt, where enabled.
    pub session_id: Option<&'a str>,
}

/// The SDK's own headers except `Authorization`, in the spelling of the wire. `agent_sid` is asked only while the room
/// has a participant. Values are as found: the merge drops those that cannot be sent.
pub fn metadata(
    job: Option<&JobView<'_>>,
    agent_sid: impl FnOnce() -> Option<String>,
    provider: Option<&str>,
    priority: Option<Priority>,
) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let mut put = |name: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            headers.push((name, value.to_owned()));
        }
    };
    if let Some(job) = job {
        put("X-LiveKit-Room-Id", job.room_sid);
        put("X-LiveKit-Job-Id", job.job_id);
        if job.room_state.has_participant() {
            put("X-LiveKit-Agent-Id", agent_sid().as_deref());
        }
        put("X-LiveKit-Worker-Token", job.worker_token);
        put("X-LiveKit-Session-ID", job.session_id);
    }
    put("X-LiveKit-Inference-Provider", provider);
    put(
        "X-LiveKit-Inference-Priority",
        priority.map(Priority::as_str),
    );
    headers
}

/// A session id from 6 random bytes: `inference_` and 12 hex digits.
pub fn session_id(random: [u8; 6]) -> String {
    format!("inference_{}", hex::encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [(RoomState, bool); 6] = [
        (RoomState::New, false),
        (RoomState::Connecting, false),
        (RoomState::Connected, true),
        (RoomState::Reconnecting, true),
        (RoomState::Disconnected, false),
        (RoomState::Closed, false),
    ];

    #[test]
    fn s0_03_s0_04_the_participant_is_asked_only_while_there_is_one() {
        for (room_state, expected) in STATES {
            let job = JobView {
                room_sid: Some("RM_a"),
                job_id: Some("AJ_b"),
                room_state,
                worker_token: None,
                session_id: None,
            };
            let mut asked = false;
            let headers = metadata(
                Some(&job),
                || {
                    asked = true;
                    Some("PA_c".to_owned())
                },
                None,
                None,
            );
            assert_eq!(asked, expected, "{room_state:?}");
            let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
            let both = ["X-LiveKit-Room-Id", "X-LiveKit-Job-Id"];
            assert_eq!(names[..2], both, "{room_state:?}");
            assert_eq!(names.contains(&"X-LiveKit-Agent-Id"), expected);
        }
    }

    #[test]
    fn s0_10_exactly_three_priorities_exist() {
        for word in ["priority", "standard", "low"] {
            assert_eq!(Priority::parse(word).map(Priority::as_str), Some(word));
        }
        for word in ["", "Low", "high", "standard ", "lowest"] {
            assert_eq!(Priority::parse(word), None);
        }
    }

    #[test]
    fn s0_13_a_session_id_is_twelve_hex_digits() {
        assert_eq!(
            session_id([0, 1, 2, 0xab, 0xcd, 0xff]),
            "inference_000102abcdff"
        );
    }
}
