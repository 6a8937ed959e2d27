import type { HeaderChanges, HeaderRulesConfig } from '../config/shaping-config.ts'
import { withoutHeaders } from '../core/header-list.ts'
import { canonicalHeaderName } from '../core/header-name.ts'
import type { ReplyStream } from './exchange.ts'

/** What a route's configuration does to headers. Names and values stand in turn. */
export interface HeaderShaping {
  /** What the upstream gets of the client's headers, or of ours. */
  request(headers: readonly string[]): readonly string[]
  /** What is set on requests, after all others. */
  readonly added: readonly string[]
  /** What the client gets of the upstream's answer, before ours are put to it. */
  response(headers: readonly string[]): string[]
  /** A body whose trailers lose what the head would lose. */
  body(body: ReplyStream): ReplyStream
}

/** Null where nothing is set or removed, which costs nothing. */
export function compileHeaderShaping(config: HeaderRulesConfig): HeaderShaping | null {
  const { request, response } = config
  if (isEmpty(request) && isEmpty(response)) return null
  const stopsRequest = createStop(request)
  const stopsResponse = createStop(response)
  const added = Object.entries(request.set).flat()
  const addedToResponse = Object.entries(response.set).flat()
  return {
    request: headers => withoutHeaders(headers, stopsRequest),
    added,
    response: headers => [...withoutHeaders(headers, stopsResponse), ...addedToResponse],
    body: isEmpty(response) ? body => body : body => withoutTrailers(body, stopsResponse),
  }
}

function isEmpty({ set, remove }: HeaderChanges): boolean {
  return Object.keys(set).length === 0 && remove.length === 0
}

const DECISIONS_KEPT_MAX = 1024

type Stop = (name: string) => boolean

/** In every spelling: what is set must not stand there a second time under a look-alike. */
function createStop({ set, remove }: HeaderChanges): Stop {
  const stopped = new Set([...Object.keys(set), ...remove].map(canonicalHeaderName))
  // Names repeat from request to request, and looking one up is ten times cheaper than reading it.
  const decided = new Map<string, boolean>()
  return name => {
    const known = decided.get(name)
    if (known !== undefined) return known
    const stops = stopped.has(canonicalHeaderName(name))
    if (decided.size < DECISIONS_KEPT_MAX) decided.set(name, stops)
    return stops
  }
}

function withoutTrailers(body: ReplyStream, stops: Stop): ReplyStream {
  return {
    ...(body.isEmpty === undefined ? {} : { isEmpty: body.isEmpty }),
    pipeTo: sink =>
      body.pipeTo({
        write: chunk => sink.write(chunk),
        drained: callback => sink.drained(callback),
        end: trailers => sink.end(withoutHeaders(trailers, stops)),
        destroy: () => sink.destroy(),
        ...(sink.connection === undefined ? {} : { connection: sink.connection }),
      }),
    cancel: () => body.cancel(),
  }
}
