//! Why a request was refused: the parameter and what to do about it, never the value that was sent.

/// A parameter that breaks a rule. The text is the `message` of the 400 answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValidationError {
    /// The request parameter at fault, as the client spells it.
    pub parameter: &'static str,
    message: String,
}

impl ValidationError {
    /// A required parameter that is absent or empty.
    pub fn missing(parameter: &'static str) -> Self {
        Self {
            parameter,
            message: format!("Missing required parameter {parameter} in the post body"),
        }
    }

    /// A value outside the allowed ones; `remedy` says which are allowed.
    pub fn invalid(parameter: &'static str, remedy: &str) -> Self {
        Self {
            parameter,
            message: format!("Invalid value for parameter {parameter}: {remedy}"),
        }
    }

    /// A refusal whose text the contract gives.
    pub fn with_message(parameter: &'static str, message: impl Into<String>) -> Self {
        Self {
            parameter,
            message: message.into(),
        }
    }
}
