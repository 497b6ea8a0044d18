// The vendor's conversation over a WebSocket, as any client of it would speak.

const opening = {
  type: 'conversation_initiation_client_data',
  conversation_config_override: { agent: {}, tts: {}, conversation: {} },
  source_info: { source: 'postern_try', version: '1' },
};

/**
 * Opens a conversation. `on` hears: frame(sent, message), admitted(metadata), message(message), ended({ admitted, code, reason }).
 */
export function converse(url, on) {
  const socket = new WebSocket(url, 'convai');
  let admitted = false;

  const send = message => {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify(message));
    on.frame?.(true, message);
  };

  socket.onopen = () => send(opening);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    on.frame?.(false, message);
    if (message.type === 'conversation_initiation_metadata') {
      admitted = true;
      on.admitted?.(message.conversation_initiation_metadata_event);
    } else if (message.type === 'ping') {
      send({ type: 'pong', event_id: message.ping_event.event_id });
    } else {
      on.message?.(message);
    }
  };
  socket.onclose = ({ code, reason }) => on.ended?.({ admitted, code, reason });

  return {
    say: text => send({ type: 'user_message', text }),
    hear: base64 => send({ user_audio_chunk: base64 }),
    close: () => socket.close(1000, 'User ended conversation'),
  };
}

/** Knocks once and leaves at once when let in: { admitted, code, reason }. */
export function knock(url, frame) {
  return new Promise(resolve => {
    const conversation = converse(url, { frame, admitted: () => conversation.close(), ended: resolve });
  });
}
