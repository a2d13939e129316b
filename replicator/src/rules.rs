//! The rules of the protocol that the model checks, each of which can be taken away in tests and by the simulator, and only there.
//!
//! A rule that nothing misses when it is gone is either not needed or not tested. So the model is run once with all rules and
//! once without each, and the second must fail; the simulator likewise, built with the feature `mutants`. In any other build
//! [`Rules`] holds nothing and can be told nothing.

/// A rule, by its number in the specification of the pair.
#[cfg(any(test, feature = "mutants"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 1: what belongs to an epoch below the promised one is refused.
    Promise,
    /// 1: a promise is durable before it is answered.
    PromiseFirst,
    /// 2: an append fits the end of the log by its chain, and never truncates.
    Append,
    /// 3: only what is durable is acknowledged as durable.
    Ack,
    /// 4: committed is what every member in sync has.
    Commit,
    /// 5: a member counts until it is known to be out.
    Shrink,
    /// 5: a swap without an answer may still land, whatever is read meanwhile.
    Unknown,
    /// 6: only a member in sync, with the same disk, makes itself primary.
    Promote,
    /// 7: a restarted primary takes a new epoch.
    Restart,
    /// 8: a learner's acknowledgements are required before it is registered.
    Expand,
    /// By hand: nobody goes on without the other node but by an operator's word.
    Word,
    /// By hand: the two nodes' epochs never meet.
    Apart,
}

/// Which rules hold: all, but for one at most in a test.
#[cfg(any(test, feature = "mutants"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The rule that does not hold.
    pub without: Option<Rule>,
}

impl Rules {
    /// All of them.
    #[cfg(any(test, feature = "mutants"))]
    pub const ALL: Rules = Rules { without: None };
    /// All of them.
    #[cfg(not(any(test, feature = "mutants")))]
    pub(crate) const ALL: Rules = Rules;
}

#[cfg(any(test, feature = "mutants"))]
impl Rules {
    fn holds(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}

/// Which rules hold: all.
#[cfg(not(any(test, feature = "mutants")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rules;

/// One question a rule, so that the code of a release asks nothing.
macro_rules! rules {
    ($($name:ident: $rule:ident),* $(,)?) => {
        impl Rules {
            $(
                #[cfg(any(test, feature = "mutants"))]
                pub(crate) fn $name(self) -> bool {
                    self.holds(Rule::$rule)
                }
                #[cfg(not(any(test, feature = "mutants")))]
                #[allow(clippy::unused_self)]
                pub(crate) const fn $name(self) -> bool {
                    true
                }
            )*
        }
    };
}

rules!(
    promise: Promise,
    promise_first: PromiseFirst,
    append: Append,
    ack: Ack,
    commit: Commit,
    shrink: Shrink,
    unknown: Unknown,
    promote: Promote,
    restart: Restart,
    expand: Expand,
    word: Word,
    apart: Apart,
);

#[cfg(feature = "mutants")]
impl Rule {
    /// Those of a pair whose arbiter decides, with their names.
    pub const ALL: [(Rule, &'static str); 10] = [
        (Rule::Promise, "promise"),
        (Rule::PromiseFirst, "promise-first"),
        (Rule::Append, "append"),
        (Rule::Ack, "ack"),
        (Rule::Commit, "commit"),
        (Rule::Shrink, "shrink"),
        (Rule::Unknown, "unknown"),
        (Rule::Promote, "promote"),
        (Rule::Restart, "restart"),
        (Rule::Expand, "expand"),
    ];
}
