import type { CheckContext } from './check-context.ts'
import type { Path } from './problems.ts'
import type { UpstreamSetting } from './schema-upstreams.ts'
import type { UpstreamHost } from './shaping-config.ts'

const NAME =
  /^(?=.{1,255}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?$/i

/** Which Host an upstream is sent. */
export function checkUpstreamHost(
  { host }: Pick<UpstreamSetting, 'host'>,
  path: Path,
  context: CheckContext,
): UpstreamHost {
  if (host === 'upstream') return { kind: host }
  if (host === 'client') return { kind: host }
  if (NAME.test(host)) return { kind: 'fixed', host }
  const message = `${context.quote(path)} is not the name of a host`
  const cure =
    'Write upstream, client, or a name like api.example.com, with a port if it needs one.'
  context.report(path, { message, cure })
  return { kind: 'upstream' }
}
