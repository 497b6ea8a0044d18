// A real Chromium, which talks to nobody but the server under test.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-default-apps', '--no-default-browser-check'];

/** Where Chromium is: POSTERN_CHROMIUM, else where Debian puts it. */
export const chromiumPath = process.env.POSTERN_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

/**
 * @param {{microphone?: boolean | string}} options microphone: true for Chromium's beeping test device, or a WAV file to be heard from it.
 *   It needs no permission prompt. more: further switches of Chromium.
 */
export function launchChromium({ microphone = false, more = [] } = {}) {
  if (!chromiumPath) throw new Error('No Chromium. Run ./test.sh, or set POSTERN_CHROMIUM.');
  const args = [...quiet, ...more];
  if (microphone) args.push('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required');
  if (typeof microphone === 'string') args.push(`--use-file-for-fake-audio-capture=${microphone}`);
  return chromium.launch({ executablePath: chromiumPath, args });
}
