import { resolve } from 'node:path'
import type { Segment } from '../routing/pattern.ts'
import { parsePathTemplate } from '../routing/target-template.ts'
import type { CheckContext } from './check-context.ts'
import { checkHeaders } from './check-headers.ts'
import { readHttpUrl } from './check-url.ts'
import { type Path, sentence } from './problems.ts'
import type { RouteSetting } from './schema-routes.ts'
import type { RedirectSetting, RespondSetting } from './schema-shaping.ts'
import type { AnswerConfig } from './shaping-config.ts'
import { readFileBytes } from './text-file.ts'

const FILE_BYTES_MAX = 8 * 1024 ** 2

/** What only means something where an API is asked. */
const FOR_UPSTREAMS = ['upstream', 'rewrite', 'timeout']

interface Place {
  readonly path: Path
  readonly context: CheckContext
}

/** How a route answers by itself; null: its upstream answers. */
export function checkAnswer(
  setting: RouteSetting,
  segments: readonly Segment[],
  { path, context }: Place,
): AnswerConfig | null {
  const { respond, redirect, price, mimeType } = setting
  const kind = respond === undefined ? 'redirect' : 'respond'
  if (respond === undefined && redirect === undefined) return null
  for (const key of FOR_UPSTREAMS) {
    if (!context.isWritten([...path, key])) continue
    const finding = {
      message: `has no meaning beside ${kind}: no API is asked`,
      cure: 'Remove it.',
    }
    context.report([...path, key], finding, 'key')
  }
  if (respond !== undefined && redirect !== undefined) {
    const message = 'cannot stand beside respond: a request has one answer'
    context.report([...path, 'redirect'], { message, cure: 'Keep one of the two.' }, 'key')
  }
  const place = { path: [...path, kind], context }
  if (respond !== undefined) return checkRespond(respond, mimeType ?? null, place)
  if (redirect === undefined) return null
  if (price !== 'free') {
    const message = 'a redirect cannot be priced: whoever paid once could tell everybody where to'
    context.report([...path, 'price'], { message, cure: 'Write free, and price what it leads to.' })
  }
  return checkRedirect(redirect, segments, place)
}

function checkRespond(
  { status, body, file, headers }: RespondSetting,
  mimeType: string | null,
  { path, context }: Place,
): AnswerConfig {
  if (body !== undefined && file !== undefined) {
    const message = 'cannot stand beside body: an answer has one body'
    context.report([...path, 'file'], { message, cure: 'Keep one of the two.' }, 'key')
  }
  const checked = checkHeaders(headers, [...path, 'headers'], context)
  const isFile = body === undefined && file !== undefined
  const bytes = isFile ? readFile(file, [...path, 'file'], context) : Buffer.from(body ?? '')
  const type = isFile ? 'application/octet-stream' : 'text/plain; charset=utf-8'
  return {
    kind: 'respond',
    status,
    headers: { 'content-type': mimeType ?? type, ...checked },
    body: new Uint8Array(bytes),
  }
}

function readFile(file: string, path: Path, context: CheckContext): Uint8Array {
  const read = readFileBytes(resolve(context.directory, file), FILE_BYTES_MAX)
  if (read.kind === 'bytes') return read.bytes
  const message = `needs the file ${context.quote(path)}, which ${read.why}`
  context.report(path, { message, cure: 'Create it, or correct its path.' })
  return new Uint8Array()
}

/** A parameter in the authority would let a request choose the host: only the path has any. */
function checkRedirect(
  { to, status }: RedirectSetting,
  segments: readonly Segment[],
  { path, context }: Place,
): AnswerConfig | null {
  const toPath = [...path, 'to']
  const [, written = '', template = ''] =
    /^([A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*)?(.*)$/s.exec(to) ?? []
  const refuse = (reason: string): null => {
    const message = `${context.quote(toPath)} is not where a request can be sent`
    context.report(toPath, { message, cure: sentence(reason) })
    return null
  }
  if (/[{}]/.test(written)) return refuse('write parameters in the path only, not in the host')
  const read = written === '' ? null : readHttpUrl(written)
  if (read?.kind === 'refused') return refuse(read.cure)
  // In ASCII, whatever letters its host was written with: it goes into a header.
  const origin = read?.url.origin ?? ''
  const parsed = parsePathTemplate(template || '/', segments)
  if (parsed.kind === 'invalid') return refuse(parsed.reason)
  return { kind: 'redirect', origin, template: template || '/', status: Number(status) }
}
