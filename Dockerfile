# The relay as one static binary on an empty base.
#
#   docker build --build-arg VERSION=1.2.3 -t sine-relay .
#
# COMMIT and DATE, that of the commit, are for `sine-relay version` and the labels.
FROM --platform=$BUILDPLATFORM golang:1.26.8@sha256:3c3e25a4da13fd0478eed2df1eb35a0e667094a7124d3993a6a1d30f71c17e79 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
ARG TARGETOS
ARG TARGETARCH
# -trimpath and an empty build id make two builds of one source the same bytes.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
      -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
      -o /out/sine-relay ./cmd/sine-relay
# Licences and notices of what is in it, and a bill of materials.
RUN go run ./.ci/lib/materials /out/sine-relay $VERSION /out/doc && cp LICENSE /out/doc/

FROM scratch
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
LABEL org.opencontainers.image.title="sine-relay" \
      org.opencontainers.image.description="Answers Sine's visitor webhook and puts it on NATS" \
      org.opencontainers.image.source="https://github.com/sine-relay/sine-relay" \
      org.opencontainers.image.documentation="https://github.com/sine-relay/sine-relay#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$DATE"
# For TLS to a NATS whose certificate a public authority signed.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/doc /usr/share/doc/sine-relay
COPY --from=build /out/sine-relay /sine-relay
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/sine-relay", "health"]
ENTRYPOINT ["/sine-relay"]
CMD ["serve"]
