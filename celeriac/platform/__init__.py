"""The platform: the SDK that users write against and the engine that makes it durable."""
