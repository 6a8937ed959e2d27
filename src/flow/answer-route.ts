import type { AnswerConfig } from '../config/shaping-config.ts'
import type { Segment } from '../routing/pattern.ts'
import { parsePathTemplate } from '../routing/target-template.ts'
import type { Upstream, UpstreamRequest } from '../upstream/upstream.ts'
import { StoredBody } from './kept-body.ts'

const READY = { kind: 'ready' } as const

/**
 * Answers in the place of an upstream, so that what is served from here is priced, charged and
 * delivered as everything else is.
 */
export function createAnswer(config: AnswerConfig, segments: readonly Segment[]): Upstream {
  const answer = config.kind === 'respond' ? respond(config) : redirect(config, segments)
  const send: Upstream['send'] = async request => ({ kind: 'response', ...answer(request) })
  return {
    name: config.kind,
    targets: [],
    condition: () => READY,
    send,
    upgrade: send,
    close: async () => {},
  }
}

type Answer = (request: UpstreamRequest) => {
  readonly status: number
  readonly headers: string[]
  readonly body: StoredBody
}

const NOTHING = new Uint8Array()

function respond({ status, headers, body }: Extract<AnswerConfig, { kind: 'respond' }>): Answer {
  const flat = [...Object.entries(headers).flat(), 'content-length', String(body.length)]
  return ({ method }) => ({
    status,
    headers: [...flat],
    body: new StoredBody(method === 'HEAD' ? NOTHING : body, []),
  })
}

function redirect(
  { origin, template: text, status }: Extract<AnswerConfig, { kind: 'redirect' }>,
  segments: readonly Segment[],
): Answer {
  const parsed = parsePathTemplate(text, segments)
  if (parsed.kind === 'invalid') throw new Error(`Unchecked redirect: ${parsed.reason}`)
  return ({ target }) => {
    const mark = target.indexOf('?')
    const path = mark === -1 ? target : target.slice(0, mark)
    const query = mark === -1 ? '' : target.slice(mark)
    const location = origin + parsed.template.fill(path) + query
    const headers = ['location', location, 'content-length', '0']
    return { status, headers, body: new StoredBody(NOTHING, []) }
  }
}
