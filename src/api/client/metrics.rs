//! Asking for metrics.

use super::{Client, Error, view};
use crate::model::metrics::MetricsView;

impl Client {
    /// What is told to a monitoring system.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn metrics(&self) -> Result<MetricsView, Error> {
        view(&self.agent.metrics().await?)
    }
}
