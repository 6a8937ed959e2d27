import { resolve } from 'node:path'
import type { CheckContext } from './check-context.ts'
import { baseOf, readHttpUrl } from './check-url.ts'
import type { Path } from './problems.ts'
import { uniqueName } from './unique-name.ts'
import type { UpstreamTarget } from './upstream-config.ts'

/** As nginx writes it: "unix:/run/api.sock", or "unix:/run/api.sock:/base/path". */
const UNIX_URL = /^unix:([^:\0]+)(?::(\/[^\s?#\\]*))?$/

/** A longer one is cut off by the system without a word (sockaddr_un, unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107

/** The servers that `url` names: one, or several that do the same. */
export function checkTargets(
  url: string | readonly string[],
  path: Path,
  context: CheckContext,
): UpstreamTarget[] {
  const places = typeof url === 'string' ? [{ text: url, at: path }] : placed(url, path)
  const targets: UpstreamTarget[] = []
  for (const { text, at } of places) {
    const target = text.startsWith('unix:')
      ? readSocket(text, at, context)
      : readServer(text, at, context)
    if (target === null) continue
    const first = targets.findIndex(one => placeOf(one) === placeOf(target))
    if (first === -1) {
      targets.push({ ...target, name: uniqueName(target.name, targets) })
    } else {
      const message = `is the same as entry ${first} of this list`
      context.report(at, { message, cure: 'Keep one of the two.' })
    }
  }
  return targets
}

function placed(urls: readonly string[], path: Path): { text: string; at: Path }[] {
  return urls.map((text, index) => ({ text, at: [...path, index] }))
}

function placeOf({ origin, basePath, socketPath }: UpstreamTarget): string {
  return JSON.stringify([origin, basePath, socketPath])
}

function readServer(text: string, path: Path, context: CheckContext): UpstreamTarget | null {
  const read = readHttpUrl(text)
  if (read.kind === 'refused') {
    context.report(path, read)
    return null
  }
  const { origin } = read.url
  const basePath = baseOf(read.url).slice(origin.length)
  return { name: origin, origin, basePath, socketPath: null }
}

function readSocket(text: string, path: Path, context: CheckContext): UpstreamTarget | null {
  const [, file, base = ''] = UNIX_URL.exec(text) ?? []
  if (file === undefined) {
    const cure = 'Write unix:/run/api.sock, or unix:/run/api.sock:/base/path.'
    context.report(path, { message: 'is not the path of a Unix socket', cure })
    return null
  }
  const socketPath = resolve(context.directory, file)
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    const message = `names a socket whose path is longer than ${SOCKET_PATH_BYTES_MAX} bytes`
    context.report(path, { message, cure: 'The system allows no more. Move it further up.' })
    return null
  }
  const basePath = baseOf(new URL(base, 'http://localhost')).slice('http://localhost'.length)
  return { name: `unix:${socketPath}`, origin: 'http://localhost', basePath, socketPath }
}
