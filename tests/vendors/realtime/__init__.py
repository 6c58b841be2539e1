"""OpenAI Realtime: a model that hears and speaks itself, by itself and in calls of our engine."""
