//! The jobs of one connection: offered (waiting for our answer), expected (waiting for LiveKit's assignment), assigned,
//! terminated (LiveKit waits for a last status).
//! Belongs to one connection: LiveKit forgets all of it when the connection ends, so the table is cleared with it.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::id::JobId;

#[derive(Debug, Default)]
pub(super) struct Table {
    offered: HashMap<JobId, Instant>,
    expected: HashMap<JobId, Instant>,
    assigned: HashSet<JobId>,
    terminated: HashSet<JobId>,
}

impl Table {
    pub(super) fn offer(&mut self, job_id: JobId, decide_by: Instant) {
        self.offered.insert(job_id, decide_by);
    }

    pub(super) fn is_offered(&self, job_id: &JobId) -> bool {
        self.offered.contains_key(job_id)
    }

    /// Whether there was such an offer; there is none afterwards.
    pub(super) fn take_offer(&mut self, job_id: &JobId) -> bool {
        self.offered.remove(job_id).is_some()
    }

    pub(super) fn take_offers(&mut self) -> Vec<JobId> {
        self.offered.drain().map(|(job_id, _)| job_id).collect()
    }

    pub(super) fn expect_assignment(&mut self, job_id: JobId, until: Instant) {
        self.expected.insert(job_id, until);
    }

    /// Whether the assignment was expected.
    pub(super) fn assign(&mut self, job_id: &JobId) -> bool {
        let expected = self.expected.remove(job_id).is_some();
        if expected {
            self.assigned.insert(job_id.clone());
        }
        expected
    }

    pub(super) fn is_assigned(&self, job_id: &JobId) -> bool {
        self.assigned.contains(job_id)
    }

    pub(super) fn holds(&self, job_id: &JobId) -> bool {
        self.expected.contains_key(job_id) || self.assigned.contains(job_id)
    }

    /// LiveKit ended the job; whether it was expected or assigned.
    pub(super) fn terminate(&mut self, job_id: &JobId) -> bool {
        let known = self.holds(job_id);
        if known {
            self.end(job_id);
            self.terminated.insert(job_id.clone());
        }
        known
    }

    pub(super) fn is_terminated(&self, job_id: &JobId) -> bool {
        self.terminated.contains(job_id)
    }

    /// Nothing more will be said about the job.
    pub(super) fn end(&mut self, job_id: &JobId) {
        self.expected.remove(job_id);
        self.assigned.remove(job_id);
        self.terminated.remove(job_id);
    }

    pub(super) fn assigned(&self) -> u32 {
        u32::try_from(self.assigned.len()).unwrap_or(u32::MAX)
    }

    /// Offered and expected jobs together.
    pub(super) fn pending(&self) -> u32 {
        u32::try_from(self.offered.len() + self.expected.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn expired_offers(&mut self, now: Instant) -> Vec<JobId> {
        expired(&mut self.offered, now)
    }

    pub(super) fn expired_assignments(&mut self, now: Instant) -> Vec<JobId> {
        expired(&mut self.expected, now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.offered
            .values()
            .chain(self.expected.values())
            .min()
            .copied()
    }

    /// Forgets everything and hands over the jobs whose assignment was expected.
    pub(super) fn clear(&mut self) -> Vec<JobId> {
        self.offered.clear();
        self.assigned.clear();
        self.terminated.clear();
        self.expected.drain().map(|(job_id, _)| job_id).collect()
    }
}

fn expired(deadlines: &mut HashMap<JobId, Instant>, now: Instant) -> Vec<JobId> {
    let over: Vec<JobId> = deadlines
        .iter()
        .filter(|(_, deadline)| now >= **deadline)
        .map(|(job_id, _)| job_id.clone())
        .collect();
    for job_id in &over {
        deadlines.remove(job_id);
    }
    over
}
