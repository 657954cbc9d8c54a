// Hands on what the microphone hears: blocks of samples enter on the audio thread, copies of them leave by message.

class VoiceTap extends AudioWorkletProcessor {
  process(inputs) {
    const channel = inputs[0]?.[0];
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
}

registerProcessor("voice-tap", VoiceTap);
