import { canonicalHeaderName } from '../core/header-name.ts'
import type { CheckContext } from './check-context.ts'
import { judgeHeader } from './check-headers.ts'
import type { GatewayConfig } from './gateway-config.ts'
import type { Finding, Path } from './problems.ts'
import type { HeaderRulesSetting } from './schema-shaping.ts'
import type { HeaderChanges, HeaderRulesConfig } from './shaping-config.ts'

type Direction = keyof HeaderRulesConfig

/** The schema's form of `headers`, checked. Findings never repeat a value. */
export function checkHeaderRules(
  setting: HeaderRulesSetting,
  path: Path,
  context: CheckContext,
): HeaderRulesConfig {
  const check = (direction: Direction): HeaderChanges =>
    checkChanges(setting[direction], { direction, path: [...path, direction], context })
  return { request: check('request'), response: check('response') }
}

interface Place {
  readonly direction: Direction
  readonly path: Path
  readonly context: CheckContext
}

function checkChanges(
  { set, remove }: HeaderRulesSetting[Direction],
  { direction, path, context }: Place,
): HeaderChanges {
  const seen = new Set<string>()
  const judge = (written: string, value: string): Finding | null => {
    const canonical = canonicalHeaderName(written)
    if (seen.has(canonical)) return TWICE
    seen.add(canonical)
    if (direction === 'request' && canonical === 'host') return HOST
    return judgeHeader(written.toLowerCase(), value)
  }
  for (const [written, value] of Object.entries(set)) {
    const finding = judge(written, value)
    if (finding !== null) context.report([...path, 'set', written], finding, 'key')
  }
  for (const [index, written] of remove.entries()) {
    const finding = judge(written, '')
    if (finding !== null) context.report([...path, 'remove', index], finding)
  }
  return {
    set: Object.fromEntries(
      Object.entries(set).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    remove: remove.map(name => name.toLowerCase()),
  }
}

const TWICE: Finding = {
  message: 'is named twice: neither letter case nor the kind of dash makes another header',
  cure: 'Keep one of the two.',
}

const HOST: Finding = {
  message: 'is chosen by the upstream',
  cure: 'Write host: at its entry of upstreams: upstream, client or a name.',
}

/** What a route says of a header beats what the file says of it for all routes. */
export function mergeHeaderRules(
  fallback: HeaderRulesConfig,
  own: HeaderRulesConfig,
): HeaderRulesConfig {
  return {
    request: mergeChanges(fallback.request, own.request),
    response: mergeChanges(fallback.response, own.response),
  }
}

function mergeChanges(fallback: HeaderChanges, own: HeaderChanges): HeaderChanges {
  const isOwn = new Set([...Object.keys(own.set), ...own.remove].map(canonicalHeaderName))
  const isLeft = (name: string): boolean => !isOwn.has(canonicalHeaderName(name))
  const kept = Object.entries(fallback.set).filter(([name]) => isLeft(name))
  return {
    set: { ...Object.fromEntries(kept), ...own.set },
    remove: [...fallback.remove.filter(isLeft), ...own.remove],
  }
}

/** Reports rules for headers that something else decides on the route. */
export function reportOverruled(
  { routes, upstreams }: Pick<GatewayConfig, 'routes' | 'upstreams'>,
  context: CheckContext,
): void {
  for (const route of routes) {
    const report = (direction: Direction, name: string, { message, cure }: Finding): void => {
      const own = ['routes', route.key, 'headers', direction]
      const path = context.isWritten(own) ? own : ['headers', direction]
      context.report(path, { message: `${name} ${message}`, cure }, 'key')
    }
    const { request, response } = route.headers
    const upstream = upstreams.find(({ name }) => name === route.upstream)
    const owned = Object.keys(upstream?.headers ?? {}).map(canonicalHeaderName)
    for (const name of Object.keys(request.set)) {
      if (!owned.includes(canonicalHeaderName(name))) continue
      const message = `is set by upstreams.${upstream?.name} as well, whose headers come last`
      report('request', name, { message, cure: 'Keep one of the two.' })
    }
    for (const name of [...Object.keys(response.set), ...response.remove]) {
      if (route.cors !== null && name.startsWith('access-control-')) {
        report('response', name, BY_CORS)
      }
      if (route.replay !== null && name === 'vary') report('response', name, BY_REPLAY)
    }
  }
}

const BY_CORS: Finding = {
  message: 'is decided by cors, which is on here',
  cure: 'Say it under cors:, or remove it.',
}

const BY_REPLAY: Finding = {
  message: 'tells replay whom a response may be given to again',
  cure: 'Remove the rule, or remove replay:.',
}
