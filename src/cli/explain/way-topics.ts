import type { HeaderRulesConfig } from '../../config/shaping-config.ts'
import { locate } from '../../config/tree.ts'
import { formatDuration, formatSize } from '../../config/values.ts'
import { canonicalHeaderName } from '../../core/header-name.ts'
import { compileRewrite } from '../../flow/compile-snapshot.ts'
import { parseRouteKey } from '../../routing/pattern.ts'
import {
  type Line,
  ownOrDefault,
  ownPath,
  type Subject,
  type Topic,
  writtenOrSecret,
} from './topic.ts'

/** What becomes of a request on its way to the API, and of the answer on its way back. */
export const wayTopic: Topic = {
  title: 'ON THE WAY',
  lines: subject => [
    // Without an upstream nobody gets the request, whatever the defaults set on it.
    ...(subject.upstream === null
      ? answerLines(subject)
      : [...forwardLines(subject), ...headerLines(subject, 'request')]),
    ...headerLines(subject, 'response'),
  ],
}

function forwardLines(subject: Subject): Line[] {
  const { route, upstream, document } = subject
  if (upstream === null) return []
  const at = ['upstreams', upstream.name]
  const asked = upstream.targets.map(({ name, basePath }, index) => {
    const urlAt = [[...at, 'url', index], [...at, 'url'], at]
    const [url = []] = urlAt.filter(path => locate(document, path).exact)
    const base = writtenOrSecret(name + basePath, url, document)
    return { label: 'asks for', value: base + forwardedTarget(subject), at: urlAt }
  })
  return [
    { label: 'upstream', value: upstream.name, at: [ownPath(subject, 'upstream'), at] },
    ...asked,
    { label: 'rewrite', value: rewriteText(subject), at: ownOrDefault(subject, 'rewrite') },
    { label: 'Host', value: hostText(subject), at: [[...at, 'host']] },
    {
      label: 'time-out',
      value: formatDuration(route.timeoutMs),
      at: [ownPath(subject, 'timeout')],
    },
    ...Object.keys(upstream.headers).map(name => ({
      label: 'sets on request',
      // Its keys stand here, mostly.
      value: `${name}: (hidden)`,
      at: [[...at, 'headers', spelling(subject, [...at, 'headers'], name)]],
    })),
  ]
}

function forwardedTarget({ route, target }: Subject): string {
  const parsed = parseRouteKey(route.key)
  if (parsed.kind === 'invalid') return target
  const [path = '', ...query] = target.split('?')
  const rewritten = compileRewrite(route.rewrite, parsed.segments)?.fill(path) ?? path
  return [rewritten, ...query].join('?')
}

function rewriteText({ route: { rewrite } }: Subject): string {
  if (rewrite === null) return 'none'
  return rewrite.kind === 'template' ? rewrite.template : `without ${rewrite.prefix}`
}

function hostText({ upstream }: Subject): string | null {
  if (upstream === null) return null
  const { host, targets } = upstream
  if (host.kind === 'fixed') return host.host
  return host.kind === 'client'
    ? 'as the caller asked'
    : targets.map(({ origin }) => new URL(origin).host).join(', ')
}

function answerLines(subject: Subject): Line[] {
  const { answer } = subject.route
  if (answer === null) return []
  if (answer.kind === 'respond') {
    const type = answer.headers['content-type'] ?? 'no type'
    const value = `${answer.status}, ${formatSize(answer.body.length)} of ${type}, from this file`
    const at = ownPath(subject, 'respond', 'headers')
    const sets = Object.entries(answer.headers).flatMap(([name, text]) => {
      const path = [...at, spelling(subject, at, name)]
      if (!locate(subject.document, path).exact) return []
      const shown = writtenOrSecret(text, path, subject.document)
      return [{ label: 'with', value: `${name}: ${shown}`, at: [path] }]
    })
    return [{ label: 'answers', value, at: [ownPath(subject, 'respond')] }, ...sets]
  }
  const value = `${answer.status} to ${answer.origin}${answer.template}`
  return [{ label: 'redirects', value, at: [ownPath(subject, 'redirect', 'to')] }]
}

function headerLines(subject: Subject, direction: keyof HeaderRulesConfig): Line[] {
  const { set, remove } = subject.route.headers[direction]
  const places = [ownPath(subject, 'headers', direction), ['headers', direction]]
  const sets = Object.entries(set).map(([name, value]) => {
    const at = places.map(place => [...place, 'set', spelling(subject, [...place, 'set'], name)])
    const written = at.find(path => locate(subject.document, path).exact) ?? []
    const shown = writtenOrSecret(value, written, subject.document)
    return { label: `sets on ${direction}`, value: `${name}: ${shown}`, at }
  })
  const removes = remove.map(name => {
    const at = places.flatMap(place => findItem(subject, [...place, 'remove'], name))
    return { label: `removes from ${direction}`, value: name, at }
  })
  return [...sets, ...removes]
}

/** A header's name as the file spells it. */
function spelling({ document }: Subject, path: readonly (string | number)[], name: string): string {
  const { exact, node } = locate(document, path)
  const names = exact && node.kind === 'map' ? [...node.entries.keys()] : []
  return names.find(one => canonicalHeaderName(one) === canonicalHeaderName(name)) ?? name
}

function findItem({ document }: Subject, path: readonly (string | number)[], name: string) {
  const { exact, node } = locate(document, path)
  if (!exact || node.kind !== 'list') return []
  const index = node.items.findIndex(
    ({ node: item }) =>
      item.kind === 'text' && canonicalHeaderName(item.value) === canonicalHeaderName(name),
  )
  return index === -1 ? [] : [[...path, index]]
}

/** Which web pages may call. */
export const corsTopic: Topic = {
  title: 'CORS',
  lines(subject) {
    const { cors } = subject.route
    if (cors === null)
      return [{ label: 'origins', value: 'off', at: ownOrDefault(subject, 'cors') }]
    const { origins, credentials, exposeHeaders, maxAgeMs } = cors
    const line = (label: string, key: string, value: string | null): Line => {
      return { label, value, at: ownOrDefault(subject, 'cors', key) }
    }
    return [
      line('origins', 'origins', origins.join(', ')),
      line('cookies', 'credentials', credentials ? 'allowed' : 'not allowed'),
      line('exposes', 'exposeHeaders', exposeHeaders.join(', ') || null),
      line('remembered', 'maxAge', formatDuration(maxAgeMs)),
    ]
  },
}
