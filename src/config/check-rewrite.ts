import { parseRouteKey, type Segment } from '../routing/pattern.ts'
import { parsePathTemplate } from '../routing/target-template.ts'
import type { CheckContext } from './check-context.ts'
import { type Path, sentence } from './problems.ts'
import type { Settings } from './schema.ts'
import type { RewriteSetting } from './schema-shaping.ts'
import type { RewriteConfig } from './shaping-config.ts'

/** A default prefix, checked; null: there is none, or it was reported. */
export function checkDefaultRewrite(
  { rewrite }: Settings,
  context: CheckContext,
): RewriteConfig | null {
  if (rewrite === undefined) return null
  const prefix = readPrefix(rewrite.stripPrefix, ['rewrite', 'stripPrefix'], context)
  return prefix && { kind: 'strip-prefix', prefix: rewrite.stripPrefix }
}

/** What becomes of a route's path on the way to its upstream; null: nothing. */
export function checkRewrite(
  setting: RewriteSetting | undefined,
  segments: readonly Segment[],
  scope: {
    readonly fallback: RewriteConfig | null
    readonly path: Path
    readonly context: CheckContext
  },
): RewriteConfig | null {
  const { fallback, path, context } = scope
  if (setting === undefined) return stripsFrom(fallback, segments) ? fallback : null
  if (setting === 'off') return null
  if ('template' in setting) {
    const { template } = setting
    const parsed = parsePathTemplate(template, segments)
    if (parsed.kind === 'template') return { kind: 'template', template }
    const message = `${context.quote(path)} is not a path that the API can be asked for`
    context.report(path, { message, cure: sentence(parsed.reason) })
    return null
  }
  const { stripPrefix: prefix } = setting
  const prefixPath = [...path, 'stripPrefix']
  const checked: RewriteConfig = { kind: 'strip-prefix', prefix }
  if (readPrefix(prefix, prefixPath, context) === null || stripsFrom(checked, segments)) {
    return checked
  }
  const message = `the route's path does not begin with ${context.quote(prefixPath)}`
  const cure = 'Write whole segments that it begins with, without parameters.'
  context.report(prefixPath, { message, cure })
  return null
}

function readPrefix(text: string, path: Path, context: CheckContext): readonly Segment[] | null {
  const segments = literalSegments(text)
  if (segments !== null) return segments
  const message = `${context.quote(path)} is not the beginning of a path`
  const cure = 'Write whole segments without parameters and without a slash at the end, like /v1.'
  context.report(path, { message, cure })
  return null
}

function literalSegments(text: string): readonly Segment[] | null {
  const parsed = parseRouteKey(text)
  if (parsed.kind === 'invalid' || parsed.method !== null) return null
  const isPrefix = parsed.segments.every(one => one.kind === 'literal' && one.text !== '')
  return isPrefix ? parsed.segments : null
}

function stripsFrom(rewrite: RewriteConfig | null, segments: readonly Segment[]): boolean {
  if (rewrite?.kind !== 'strip-prefix') return false
  const prefix = literalSegments(rewrite.prefix) ?? []
  return prefix.every((one, index) => {
    const other = segments[index]
    return one.kind === 'literal' && other?.kind === 'literal' && other.text === one.text
  })
}
