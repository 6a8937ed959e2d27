import { type RequestTarget, readRequestTarget } from '../routing/request-target.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import { badTarget } from './refusals.ts'

/**
 * Settles what the upstream will be asked for. A rewritten target is read as a request's is: one
 * that has grown too long, say, is refused before anything is paid. Null: it may go on.
 */
export function aim(
  visit: Visit,
  target: Extract<RequestTarget, { kind: 'target' }>,
): Reply | null {
  const rewrite = visit.route?.rewrite ?? null
  const aimed =
    rewrite === null ? target : readRequestTarget(rewrite.fill(target.path) + target.query, null)
  if (aimed.kind === 'ambiguous') return badTarget(aimed.reason)
  visit.forwardedTarget = aimed.full
  return null
}
