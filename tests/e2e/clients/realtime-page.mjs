// The same clients in a page: bundled by the test, called by name.
import * as agents from '@openai/agents-realtime';
import * as xai from '@ai-sdk/xai';
import OpenAI from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { talkAgents, talkOpenAI, talkXai } from './realtime-talk.mjs';

globalThis.realtime = {
  websocket: options => talkOpenAI(() => new OpenAIRealtimeWebSocket({ model: options.model },
    new OpenAI({ apiKey: options.secret, baseURL: `${options.base}/v1`, dangerouslyAllowBrowser: true })), options),
  agents: options => talkAgents(agents, options),
  xai: options => talkXai(xai, options),
};
