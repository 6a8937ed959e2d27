# syntax=docker/dockerfile:1

# Node.js 24.5 or newer, the first with OpenSSL 3.5. Pin it by digest for builds that must be the same every time:
#   docker build --build-arg NODE_IMAGE=node:24-slim@sha256:<digest> .
ARG NODE_IMAGE=node:24-slim

# Install scripts never run: no dependency of the running gateway needs one, and those of the
# development tools (a Node binary, a local chain) are of no use here.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY config ./config
COPY src ./src
RUN node scripts/build.ts

# The build has its libraries in it: no node_modules here. dist/LICENSES.txt names their versions.
FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/dist ./dist
COPY package.json ./

# The default store is data/farebox.db beside the configuration, which the link puts on the volume.
# Who mounts a whole directory over /etc/farebox writes `store: {url: "sqlite:/data/farebox.db"}`.
# Made before VOLUME: what is changed in a volume's directory after it is lost.
RUN mkdir -p /data /etc/farebox && chown 1000:1000 /data && ln -s /data /etc/farebox/data
VOLUME /data

# The image's user "node", by number, so that Kubernetes can see that it is not root.
USER 1000:1000

# Gateway and admin. The admin listener is on 127.0.0.1 unless the configuration says otherwise.
EXPOSE 8402 9402

HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "dist/main.js", "healthcheck"]

# Node is PID 1. The kernel gives PID 1 no default action for signals, so one without a handler is
# ignored; farebox sets its own for SIGTERM, SIGINT and SIGHUP before it does anything else, and
# drains. It reaps the workers that it starts (server.workers), and they start nobody: no init such as
# tini is needed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/main.js"]
CMD ["start", "-c", "/etc/farebox/gateway.yaml"]
