# The server as one static program, without a shell and without root:
#
#   docker build -t skadi .
#   docker run --read-only -v skadi:/var/lib/skadi -v ./skadi.yaml:/etc/skadi/skadi.yaml:ro skadi
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG COMMIT=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${COMMIT:+-X github.com/letserverrun/skadi/cli.commit=${COMMIT}}" -o /out/skadi . \
	&& mkdir -p /out/state

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
