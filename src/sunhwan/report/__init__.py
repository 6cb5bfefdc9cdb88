"""From run directories to what people look at. Reads files only: no model, no Keras, no other room."""
