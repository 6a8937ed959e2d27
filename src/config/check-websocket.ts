import { parseRouteKey } from '../routing/pattern.ts'
import type { CheckContext } from './check-context.ts'
import type { WebSocketSetting } from './schema-websocket.ts'
import type { WebSocketConfig } from './websocket-config.ts'

/** @param key Of the route, well-formed. */
export function checkWebSocket(
  setting: WebSocketSetting | undefined,
  key: string,
  context: CheckContext,
): WebSocketConfig | null {
  if (setting === undefined || setting === null) return null
  const parsed = parseRouteKey(key)
  const method = parsed.kind === 'route' ? parsed.method : null
  if (method !== null && method !== 'GET') {
    const message = `has no meaning on a route for ${method}: a WebSocket handshake is a GET`
    context.report(
      ['routes', key, 'websocket'],
      { message, cure: 'Remove it, or write the route for GET.' },
      'key',
    )
  }
  return {
    durationMsMax: setting.maxDuration,
    bytesMax: setting.maxBytes,
    idleMsMax: setting.idleTimeout,
    openMax: setting.maxOpen,
  }
}
