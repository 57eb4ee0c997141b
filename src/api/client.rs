//! Calls the agent.
