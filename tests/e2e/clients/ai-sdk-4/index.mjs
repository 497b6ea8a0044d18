export { callChatApi } from '@ai-sdk/ui-utils';
