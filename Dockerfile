# The server as one static program, without a shell and without root:
#
#   docker build -t skadi .
#   docker run --read-only -p 127.0.0.1:8080:8080 -v skadi:/var/lib/skadi -v ./etc:/etc/skadi:ro skadi
#
# ./etc/skadi.yaml is the config. It is the folder that is mounted: of one file the
# container would go on seeing the old one once an editor has put a new one in its
# place, and a reload would change nothing.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What it says it is: --build-arg VERSION=v1.2.3 --build-arg COMMIT=0123456789ab
ARG VERSION=
ARG COMMIT=
RUN packaging/build.sh skadi "$(go env GOOS)" "$(go env GOARCH)" /out/skadi && mkdir -p /out/state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/skadi /usr/local/bin/skadi
COPY --from=build --chown=65532:65532 /out/state /var/lib/skadi
USER 65532:65532
WORKDIR /var/lib/skadi
VOLUME /var/lib/skadi
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
	CMD ["/usr/local/bin/skadi", "health", "-c", "/etc/skadi/skadi.yaml"]
ENTRYPOINT ["/usr/local/bin/skadi"]
CMD ["serve", "-c", "/etc/skadi/skadi.yaml"]
