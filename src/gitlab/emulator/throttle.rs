//! Counting requests per user and minute (`doc/administration/settings/user_and_ip_rate_limits.md` of GitLab).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::clock::http_date;
use super::refusal::Refusal;
use super::reply::Reply;

const PERIOD: i64 = 60;

/// What was counted in the current minute.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    minute: i64,
    counts: BTreeMap<Option<u64>, u32>,
}

/// How a request stands to the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    limit: u32,
    count: u32,
    reset: i64,
}

impl Throttle {
    /// Counts one request of `user`.
    pub(super) fn count(&mut self, limit: u32, user: Option<u64>, now: Timestamp) -> Observed {
        let minute = now.as_second().div_euclid(PERIOD);
        if minute != self.minute {
            *self = Self { minute, counts: BTreeMap::new() };
        }
        let count = self.counts.entry(user).or_default();
        *count = count.saturating_add(1);
        Observed { limit, count: *count, reset: (minute + 1) * PERIOD }
    }
}

impl Observed {
    /// The refusal of a request above the limit.
    pub(super) fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let wait = self.reset.saturating_sub(now.as_second());
        (self.count > self.limit).then(|| Refusal::Throttled(u64::try_from(wait).unwrap_or(1)))
    }

    /// Adds the quota headers in place of any that are there.
    pub(super) fn describe(&self, mut reply: Reply) -> Reply {
        let reset_time = Timestamp::from_second(self.reset).unwrap_or(Timestamp::MAX);
        let throttled = reply.status == 429;
        reply.headers.retain(|(name, _)| !name.starts_with("ratelimit-"));
        let reply = reply
            .with("ratelimit-limit", self.limit.to_string())
            .with("ratelimit-name", "throttle_authenticated_api")
            .with("ratelimit-observed", self.count.to_string())
            .with("ratelimit-remaining", self.limit.saturating_sub(self.count).to_string())
            .with("ratelimit-reset", self.reset.to_string());
        if throttled { reply.with("ratelimit-resettime", http_date(reset_time)) } else { reply }
    }
}
