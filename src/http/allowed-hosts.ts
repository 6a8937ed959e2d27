/**
 * Whether a request for this authority is meant for us. Ports do not count: they change on the way
 * through containers and load balancers.
 *
 * @param hosts Names in lower case and without ports; null: any.
 */
export function createHostList(hosts: readonly string[] | null): (host: string) => boolean {
  if (hosts === null) return () => true
  const known = new Set(hosts)
  return host => known.has(host) || known.has(host.replace(/:\d+$/, '').toLowerCase())
}
