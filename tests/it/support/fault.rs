//! What can go wrong, and with which effects.

/// What happens at the effect that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is gone before it.
    DieBefore,
    /// The process is gone after it.
    DieAfter,
    /// It fails and has not happened: connection refused, disk full, a commit refused.
    Fail,
    /// It has happened and fails nevertheless: the reply is lost, a sync fails.
    FailAfter,
    /// Requests: from here on nothing reaches GitLab.
    Down,
    /// Requests: GitLab answers 500 and does nothing.
    Crash,
    /// Journal and files: a part gets to the disk, and the process is gone.
    Torn,
    /// The journal: a part gets to the disk, and the disk is full.
    TornFull,
    /// A signal asks to stop while it goes on.
    Asked,
    /// Mints: the request is on its way and has no reply; `Faulty::arrive` lets it arrive.
    Late,
}

impl Fault {
    /// Whether the process ends with it.
    pub(crate) fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter | Self::Torn)
    }
}

/// What kind of effect something is, for the faults that make sense of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Mint,
    Revoke,
    Journal,
    JournalEnd,
    Write,
    Remove,
    Commit,
    /// Asking the remote, and worktrees of ours: nothing at GitLab or in the user's work tree changes.
    Prepare,
    Push,
    /// The user's branch moves on after a push.
    FastForward,
}

impl Effect {
    pub(crate) fn faults(self) -> &'static [Fault] {
        use Fault::{Asked, Crash, DieAfter, DieBefore, Down, Fail, FailAfter, Torn, TornFull};
        match self {
            // That a reply to a GET is lost is no more than that it was not sent.
            Self::Read => &[DieBefore, Fail, Down, Crash],
            Self::Mint => &[DieBefore, DieAfter, Fail, FailAfter, Down, Crash, Asked],
            Self::Revoke => &[DieBefore, DieAfter, Fail, FailAfter, Down, Crash, Asked],
            Self::Journal => &[DieBefore, DieAfter, Fail, FailAfter, Torn, TornFull, Asked],
            Self::Write => &[DieBefore, DieAfter, Fail, FailAfter, Torn, Asked],
            Self::Remove | Self::Commit | Self::JournalEnd | Self::Push | Self::FastForward => {
                &[DieBefore, DieAfter, Fail, FailAfter, Asked]
            }
            Self::Prepare => &[DieBefore, DieAfter, Fail],
        }
    }

    pub(crate) fn dies(self) -> &'static [Fault] {
        match self {
            Self::Read => &[Fault::DieBefore],
            Self::Journal | Self::Write => &[Fault::DieBefore, Fault::DieAfter, Fault::Torn],
            _ => &[Fault::DieBefore, Fault::DieAfter],
        }
    }
}
