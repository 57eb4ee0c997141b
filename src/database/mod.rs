//! PostgreSQL.

use crate::model::names::DeploymentId;

/// The twin of a deployment.
#[must_use]
pub fn twin_name(database: &str, id: DeploymentId) -> String {
    format!("{database}_pre_{id}")
}

/// The quarantine of a deployment.
#[must_use]
pub fn quarantine_name(database: &str, id: DeploymentId) -> String {
    format!("{database}_quarantine_{id}")
}
